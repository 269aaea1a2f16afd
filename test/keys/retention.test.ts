/** Deleting an organisation removes its keys, except those that also act in other organisations. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { call, newOrganisation } from "../support/client";
import { joinOrganisations, newKey, signIn } from "../support/keys";

test("deleting an organisation removes its keys and all that was stored about them", async () => {
  const [tenant, other] = [await newOrganisation(), await newOrganisation()];
  const emails = [`Op-${tenant.id}@example.com`];
  const mine = await newKey(tenant, { permissions: ["*"], emails });
  const shared = await newKey(tenant, { permissions: ["*"], emails });
  await joinOrganisations(shared.id, [tenant.id, other.id]);
  const session = await signIn(mine.token);
  await call("DELETE", "/v1/auth/session-tokens", { key: await signIn(mine.token) });
  const gone = await call("DELETE", `/v1/organisations/${tenant.id}`, {
    key: env.DRAWBRIDGE_ROOT_TOKEN,
  });
  expect(gone.status).toBe(204);
  const use = async (key: string) => (await call("GET", "/api-keys", { key })).status;
  expect(await use(mine.token)).toBe(401);
  expect(await use(session)).toBe(401);
  expect(await use(tenant.key)).toBe(401);
  for (const table of ["key_tokens", "organisation_keys", "operator_emails", "signed_out_tokens"]) {
    const left = await env.DB.prepare(`select count(*) as n from ${table} where key_id = ?`)
      .bind(mine.id)
      .first();
    expect(left, table).toEqual({ n: 0 });
  }
  const seen = await call("GET", "/api-keys", { key: shared.token });
  expect(seen.status).toBe(200);
  const ids = seen.body.map(({ id }: { id: number }) => id);
  expect(ids).toContain(shared.id);
  expect(ids).not.toContain(mine.id);
});
