/** Webhook endpoints as their owners manage them. */
import { call, type Tenant } from "./client";
import type { Mailbox } from "./receiver";

/** An endpoint of a test's own, with its secret. */
export interface Endpoint {
  id: string;
  secret: string;
  mailbox: Mailbox;
}

/** Has an organisation's events sent to a mailbox. */
export async function newEndpoint(
  tenant: Tenant,
  mailbox: Mailbox,
  more: Record<string, unknown> = {},
): Promise<Endpoint> {
  const { status, body } = await call("POST", "/v1/webhooks/endpoints", {
    key: tenant.key,
    body: { url: mailbox.url, ...more },
  });
  if (status !== 201) throw new Error(`no endpoint: ${JSON.stringify(body)}`);
  return { id: body.id, secret: body.secret, mailbox };
}

/** An endpoint as it is now. */
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
export async function readEndpoint(tenant: Tenant, { id }: Pick<Endpoint, "id">): Promise<any> {
  return (await call("GET", `/v1/webhooks/endpoints/${id}`, { key: tenant.key })).body;
}

/** Changes an endpoint. */
export function patchEndpoint(tenant: Tenant, { id }: Pick<Endpoint, "id">, body: object) {
  return call("PATCH", `/v1/webhooks/endpoints/${id}`, { key: tenant.key, body });
}
