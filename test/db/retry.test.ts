/**
 * A change of a row that others keep changing is tried a fixed number of times, and then refused
 * with 503.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { ChangedMeanwhile, MAX_TRIES, retryChange } from "../../src/db/retry";
import { call, newOrganisation, type Tenant } from "../support/client";
import { withD1 } from "../support/d1";
import { newEndpoint } from "../support/endpoints";
import { newKey } from "../support/keys";
import { newMailbox } from "../support/pipeline";

describe("a change over versions", () => {
  test("is made again until nobody else writes in between", async () => {
    const answers = [undefined, undefined, null];
    expect(await retryChange("it", async () => answers.shift())).toBeNull();
    expect(answers).toEqual([]);
  });

  test("is given up after a fixed number of tries", async () => {
    let tries = 0;
    const attempt = async () => {
      tries += 1;
      return undefined;
    };
    await expect(retryChange("it", attempt)).rejects.toThrow(ChangedMeanwhile);
    expect(tries).toBe(MAX_TRIES);
  });
});

const permission = { connectionId: "A", remoteConnectionId: "B", direction: "send" };
const path = "/relay/permission/A/B/send";

/**
 * A change: its name, the SQL with which somebody else changes the row before each of its writes,
 * and the call that makes it.
 */
const CHANGES: [string, string, (tenant: Tenant) => Promise<() => Promise<unknown>>][] = [
  [
    "a relay permission changed",
    "update relay_permissions set version = version + 1",
    permissionAnd("PUT"),
  ],
  [
    "a relay permission deleted",
    "update relay_permissions set version = version + 1",
    permissionAnd("DELETE"),
  ],
  [
    "a connection deleted",
    "update connections set memo = memo || 'x'",
    async ({ key }) => {
      await call("POST", "/connections/definition", { key, body: { connectionId: "A" } });
      return () => call("DELETE", "/connections/definition/A", { key });
    },
  ],
  [
    "a webhook endpoint changed",
    "update webhook_endpoints set version = version + 1",
    async (tenant) => {
      const { id } = await newEndpoint(tenant, newMailbox());
      const body = { description: "x" };
      return () => call("PATCH", `/v1/webhooks/endpoints/${id}`, { key: tenant.key, body });
    },
  ],
  [
    "an API key changed",
    "update api_keys set version = version + 1",
    async (tenant) => {
      const { id } = await newKey(tenant, {});
      const body = { name: "Renamed" };
      return () => call("PATCH", `/api-keys/${id}`, { key: tenant.key, body });
    },
  ],
];

function permissionAnd(method: string) {
  return async ({ key }: Tenant) => {
    await call("POST", "/connections/definition", { key, body: { connectionId: "A" } });
    await call("POST", "/relay/permission", { key, body: permission });
    const body = method === "PUT" ? { memo: "changed" } : undefined;
    return () => call(method, path, { key, body });
  };
}

test.each(CHANGES)(
  "%s answers 503 with Retry-After while others change the row every time",
  async (_, other, prepare) => {
    const tenant = await newOrganisation();
    const change = await prepare(tenant);
    const table = / (\w+) set/.exec(other)?.[1] ?? "";
    const isOurs = new RegExp(`(update|delete from) "${table}"`);
    let between = 0;
    let busy = false;
    // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
    const answer: any = await withD1(async (sql) => {
      if (busy || !isOurs.test(sql)) return;
      busy = true;
      between += 1;
      await env.DB.prepare(other).run();
      busy = false;
    }, change);
    expect(answer.body.code, answer.text).toBe("changed-meanwhile");
    expect([answer.status, answer.headers.get("Retry-After")]).toEqual([503, "1"]);
    expect(between).toBe(MAX_TRIES);
  },
);
