/**
 * Events of every kind are sent, listed and stored without a token or a secret of their subject.
 */
import { expect, test } from "vitest";
import catalogue from "../../../docs/webhooks.md?raw";
import { EVENT_TYPES } from "../../../src/events/event-types";
import { call, newOrganisation } from "../../support/client";
import { ask, decide, newApplication, newDevice, pair, request } from "../../support/devices";
import { newKey, patchKey } from "../../support/keys";
import * as permissions from "../../support/permissions";
import { deliveryRows, eventRows, eventually, verified } from "../../support/pipeline";
import { newLinkedNode } from "../../support/relay-node";
import { authorize, create, revoke } from "../../support/sessions";
import * as sources from "../../support/source-sessions";
import { EVENTS, endpointWith, registerConnection } from "../../support/webhooks";

/** How a kind of data is recognised, and a field by which its data can be told apart. */
const KINDS: [type: string, fields: string[]][] = [
  ["session.active", ["id", "kind", "state", "users", "source", "metadata", "expires_at"]],
  ["session.user_authorized", ["id", "users"]],
  ["key.created", ["id", "name", "permissions", "blocked"]],
  ["key.refreshed", ["id", "name"]],
  ["relay-permission.created", ["connectionId", "remoteConnectionId", "direction"]],
  ["connection.created", ["connectionId", "memo"]],
  ["device.pair.requested", ["pair_request_id"]],
  ["device.pair.approved", ["pair_request_id"]],
  ["device.pair.rejected", ["pair_request_id"]],
  ["device.token.rotated", ["token_role"]],
  ["relay-node.online", ["id", "name", "status", "host"]],
  ["connector.created", ["type", "url", "timeout_seconds", "created_at"]],
  ["connector.secret.rotated", ["type", "url"]],
  ["webhook-endpoint.updated", ["id", "url", "event_types", "enabled"]],
];

test("an event of every kind is listed, sent and stored without a token or secret", async () => {
  const tenant = await newOrganisation();
  const listening = await endpointWith(tenant);
  const ricloud = await endpointWith(tenant, { format: "ricloud" });
  const key = await newKey(tenant);
  const other = await endpointWith(tenant, { url: "https://example.com/x", enabled: false });

  const relayNode = await newLinkedNode(tenant.key);
  const relay = (await create(tenant.key, { users: [{ ip: "192.0.2.1" }], join_code: true })).body;
  const { body: authorized } = await authorize(tenant.key, relay.session_id);
  const userToken = authorized.session_user.authorization_token;
  await revoke(tenant.key, relay.session_id, userToken);

  const { body: user } = await call("POST", "/users", {
    key: tenant.key,
    body: { identifier: "user-1" },
  });
  const broker = { ...tenant, userId: user.id };
  const connector = await sources.newConnector(broker, { result: "active" });
  const payload = { password: "canary-password-of-a-source" };
  await sources.newActive(broker, { type: connector.type, payload });

  const rotatedConnector = await call("POST", `/v1/connectors/${connector.type}/secret:rotate`, {
    key: tenant.key,
  });

  await patchKey(tenant, key.id, { name: "Renamed" });
  const refreshed = await patchKey(tenant, key.id, { refreshApiToken: true });
  await registerConnection(tenant, "a");
  await registerConnection(tenant, "b");
  await permissions.create(tenant.key, "a", "b", "send");

  const application = await newApplication(tenant);
  const device = await newDevice();
  const paired = await pair(application, device);
  const { body: setup } = await call("POST", `${application.path}/setup-codes`, {
    key: tenant.key,
    body: { role: "operator", scopes: ["operator.read"], ttl_seconds: 60 },
  });
  await ask(application, await newDevice(), { setupCode: setup.setup_code });
  const refusedAsk = await request(application, await newDevice());
  await decide(application, refusedAsk.id, "reject");
  const rotatedToken = await call(
    "POST",
    `${application.path}/devices/${device.id}/tokens:rotate`,
    {
      headers: { Authorization: `Bearer ${paired.token}` },
      ip: device.ip,
      body: { role: "operator" },
    },
  );
  const rotated = await call("POST", `${other.path}/secret:rotate`, { key: tenant.key });

  const told = await eventually(async () => {
    const { body, text } = await call("GET", `${EVENTS}?limit=100`, { key: tenant.key });
    const types = body.data.map(({ type }: { type: string }) => type);
    expect(types).toEqual(expect.arrayContaining(KINDS.map(([type]) => type)));
    const deliveries = await deliveryRows(tenant);
    expect(deliveries.filter(({ status }) => status !== "delivered")).toEqual([]);
    for (const [type] of KINDS) {
      const owed = deliveries.filter(({ event_type }) => event_type === type);
      expect(owed.length, type).toBeGreaterThanOrEqual(2);
    }
    return { events: body.data, text };
  });
  for (const [type, fields] of KINDS) {
    const { data } = told.events.find((event: { type: string }) => event.type === type);
    expect(Object.keys(data), type).toEqual(expect.arrayContaining([...fields, "version"]));
    expect(EVENT_TYPES).toContain(type);
    expect(Object.keys(data), `${type} in docs/webhooks.md`).toEqual(documentedFields(type));
  }

  const posted = await listening.mailbox.requests();
  const bodies = posted.map((each) => verified(each, listening.secret));
  const toRicloud = await ricloud.mailbox.requests();
  const actions = toRicloud.map(({ body }) => JSON.parse(body));
  for (const [type] of KINDS) {
    const told = actions.some((event) => `${event.type}.${event.action}` === type);
    expect(told, `${type} in ricloud's format`).toBe(true);
  }
  // A receiver gets what the list shows.
  for (const body of bodies) expect(told.events).toContainEqual(expect.objectContaining(body));

  const secrets: Record<string, unknown> = {
    "organisation's key": tenant.key,
    "organisation's webhook secret": tenant.webhookSecret,
    "endpoint's secret": listening.secret,
    "other endpoint's secret": other.secret,
    "rotated secret": rotated.body.secret,
    "key's token": key.token,
    "access key's secret": key.accessKey.secret,
    "refreshed token": refreshed.body.token.value,
    "relay node's token": relayNode.token,
    "session's token": relay.authorization_token,
    "session user's token": relay.session_users[0].authorization_token,
    "authorised user's token": userToken,
    "join code": relay.join_code,
    "source's password": payload.password,
    "connector's secret": connector.secret,
    "connector's rotated secret": rotatedConnector.body.secret,
    "endpoint's secret in ricloud's format": ricloud.secret,
    "setup code": setup.setup_code,
    "device's token": paired.token,
    "rotated device token": rotatedToken.body.device_token,
    "poll token": refusedAsk.pollToken,
  };
  const everything = [
    told.text,
    ...[...posted, ...toRicloud].map(({ body }) => body),
    JSON.stringify(await eventRows(tenant)),
    JSON.stringify(await deliveryRows(tenant)),
  ].join("\n");
  for (const [name, secret] of Object.entries(secrets)) {
    expect(String(secret ?? "").length, name).toBeGreaterThan(5);
    expect(everything.includes(String(secret)), `the ${name} is told`).toBe(false);
  }
});

/** The fields of the data of this event, as docs/webhooks.md shows them in its example. */
function documentedFields(type: string): string[] {
  const [, example = ""] = catalogue.split(`#### \`${type}\``)[1]?.split("```json") ?? [];
  return Object.keys(JSON.parse(example.split("```")[0] ?? "null").data);
}
