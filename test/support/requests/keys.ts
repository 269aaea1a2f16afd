/** Requests about organisations, API keys and operators. */
import { env } from "cloudflare:workers";
import { call, type Tenant } from "../client";
import { newKey } from "../keys";
import type { RequestRows } from "./all";

const onKey = async (tenant: Tenant) => ({
  params: { id: (await newKey(tenant, { permissions: [] })).id },
});

export const keyRequests: RequestRows = {
  deleteOrganisation: async () => {
    const key = env.DRAWBRIDGE_ROOT_TOKEN;
    const { body } = await call("POST", "/v1/organisations", { key, body: { name: "Gone" } });
    return { params: { id: body.id } };
  },
  updateOrganisation: ({ id }) => ({ params: { id } }),
  // The test puts the key into the body.
  createSessionToken: () => ({ body: {} }),
  createSignInCode: async (tenant) => ({
    body: { key_id: (await newKey(tenant, { permissions: ["operator:sign-in"] })).id },
  }),
  getApiKey: onKey,
  createApiKey: ({ id }) => ({
    body: { name: "Made", emails: [], permissions: [], organizationsIds: [id] },
  }),
  updateApiKey: onKey,
  deleteApiKey: onKey,
};
