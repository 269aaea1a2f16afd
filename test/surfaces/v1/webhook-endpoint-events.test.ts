/** The events about an organisation's own webhook endpoints, which hold no secret. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { recordedIn } from "../../support/journals";
import { deliveryRows, eventually, newMailbox, verified } from "../../support/pipeline";
import { EVENTS, endpointWith, patch, registerConnection, settled } from "../../support/webhooks";

afterEach(() => {
  vi.restoreAllMocks();
});

/** The types of the organisation's events, in alphabetical order: some share a millisecond. */
async function typesOf(tenant: Tenant): Promise<string[]> {
  const { body } = await call("GET", `${EVENTS}?limit=100`, { key: tenant.key });
  return body.data.map(({ type }: { type: string }) => type).toSorted();
}

describe("a change of an endpoint", () => {
  test("is one event, which the other endpoints get and the changed one does not", async () => {
    const tenant = await newOrganisation();
    const other = await endpointWith(tenant, { event_types: ["webhook-endpoint.*"] });
    // It wants every event, and would also get those about itself if they were sent to it.
    const changed = await endpointWith(tenant);
    await patch(tenant, changed, { description: "ours" });
    await call("POST", `${changed.path}/secret:rotate`, { key: tenant.key });
    await patch(tenant, changed, { enabled: false });
    await patch(tenant, changed, { enabled: true });
    await registerConnection(tenant, "marker");
    await settled(tenant, "event_type=connection.created");
    await call("DELETE", changed.path, { key: tenant.key });

    const requests = await other.mailbox.waitForRequests(6);
    const bodies = requests.map((request) => verified(request, other.secret));
    const told = bodies
      .map(({ type, data }) => [data.version, type, data.id, data.description, data.enabled])
      .toSorted((a, b) => a[0] - b[0] || String(a[1]).localeCompare(b[1]));
    const { id } = changed;
    expect(told.slice(0, 4)).toEqual([
      [1, "webhook-endpoint.created", id, "", true],
      [2, "webhook-endpoint.updated", id, "ours", true],
      [3, "webhook-endpoint.updated", id, "ours", true],
      [4, "webhook-endpoint.updated", id, "ours", false],
    ]);
    expect(told.slice(4)).toEqual([
      [5, "webhook-endpoint.updated", id, "ours", true],
      [6, "webhook-endpoint.deleted", id, "ours", true],
    ]);
    expect(await typesOf(tenant)).toEqual([
      "connection.created",
      "webhook-endpoint.created",
      "webhook-endpoint.created",
      "webhook-endpoint.deleted",
      ...Array(4).fill("webhook-endpoint.updated"),
    ]);
    const heard = await changed.mailbox.requests();
    expect(heard.some(({ body }) => JSON.parse(body).type === "connection.created")).toBe(true);
    expect(heard.filter(({ body }) => JSON.parse(body).data.id === id)).toEqual([]);
  });

  test("is no event when it was refused or changed nothing", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    await patch(tenant, endpoint, { colour: "red" });
    await patch(tenant, endpoint, {});
    const badGrace = { grace_seconds: -1 };
    await call("POST", `${endpoint.path}/secret:rotate`, { key: tenant.key, body: badGrace });
    expect(await typesOf(tenant)).toEqual(["webhook-endpoint.created"]);
  });

  test("makes an endpoint in ricloud's format tested at its create, unless it is disabled", async () => {
    const tenant = await newOrganisation();
    const { mailbox } = await endpointWith(tenant, { format: "ricloud" });
    await mailbox.waitForRequests(1);
    await endpointWith(tenant, { format: "ricloud", enabled: false });
    expect(await typesOf(tenant)).toEqual([
      "webhook-endpoint.created",
      "webhook-endpoint.created",
      "webhook_config.test",
    ]);
  });

  test("is not sent to other organisations", async () => {
    const [ours, theirs] = [await newOrganisation(), await newOrganisation()];
    const listening = await endpointWith(ours);
    const endpoint = await endpointWith(theirs);
    await patch(theirs, endpoint, { description: "theirs" });
    await registerConnection(theirs, "theirs");
    await endpoint.mailbox.waitForRequests(1);
    await registerConnection(ours, "ours");
    const requests = await listening.mailbox.waitForRequests(1);
    expect(requests.map(({ body }) => JSON.parse(body).data.connectionId)).toEqual(["ours"]);
    expect(await deliveryRows(ours)).toHaveLength(1);
  });
});

describe("the secret of an endpoint", () => {
  test("is in no row, no event, no body of a webhook and no line of the log", async () => {
    const lines: string[] = [];
    for (const method of ["log", "info", "warn", "error", "debug", "trace"] as const) {
      vi.spyOn(console, method).mockImplementation((...args: unknown[]) => {
        lines.push(JSON.stringify(args));
      });
    }
    const tenant = await newOrganisation();
    const watching = await endpointWith(tenant);
    const endpoint = await endpointWith(tenant);
    await endpoint.mailbox.answer({ kind: "status", status: 500, body: "no" });
    const rotated = await call("POST", `${endpoint.path}/secret:rotate`, { key: tenant.key });
    const ours = await call("POST", "/v1/webhooks/secret:rotate", { key: tenant.key });
    await call("GET", `${endpoint.path}/secret`, { key: tenant.key });
    await call("POST", `${endpoint.path}:test`, { key: tenant.key });
    await call("POST", "/configs/webhook", { key: tenant.key, body: { url: newMailbox().url } });
    const requests = await watching.mailbox.waitForRequests(3);

    const secrets = [
      watching.secret,
      endpoint.secret,
      rotated.body.secret,
      ours.body.secret,
      tenant.webhookSecret,
    ];
    expect(new Set(secrets).size).toBe(5);
    const tables = ["webhook_endpoints", "dead_letters", "owed_events"];
    const stored = await eventually(async () => {
      const rows = await Promise.all(
        tables.map(async (table) => (await env.DB.prepare(`select * from ${table}`).all()).results),
      );
      return JSON.stringify([rows, await recordedIn(tenant.id)]);
    });
    const organisation = await env.DB.prepare("select * from organisations where id = ?")
      .bind(tenant.id)
      .first();
    const everything = [
      stored,
      JSON.stringify(organisation),
      lines.join("\n"),
      ...requests.map(({ body }) => body),
    ].join("\n");
    // Shows that the test has looked in the right places for what is not there.
    expect(stored).toContain(endpoint.id);
    expect(lines.join("\n")).toContain("/v1/webhooks/endpoints");
    for (const secret of secrets) {
      expect(everything).not.toContain(secret);
      expect(everything).not.toContain(secret.slice("whsec_".length, 30));
    }
    expect(everything).not.toContain("v1,");
  });
});
