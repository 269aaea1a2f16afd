/** Every event, and every body that is sent, has the form that the description of the API shows. */
import { afterEach, expect, test, vi } from "vitest";
import * as z from "zod";
import { EVENT_TYPES, type EventType } from "../../../src/events/event-types";
import { EXAMPLES } from "../../../src/openapi/examples";
import { relaySession } from "../../../src/surfaces/relay-sessions/wire";
import { describeWebhooks } from "../../../src/surfaces/shared/webhook-bodies";
import { ricloudEvent } from "../../../src/surfaces/source-sessions/event-wire";
import { EVENT_PAYLOADS, eventBody } from "../../../src/surfaces/v1/event-payloads";
import { listedEvent } from "../../../src/surfaces/v1/event-wire";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { moveClock, stopClock } from "../../support/clock";
import { decide, newApplication, newDevice, pair, request } from "../../support/devices";
import { newKey, patchKey } from "../../support/keys";
import * as permissions from "../../support/permissions";
import { eventually, newMailbox } from "../../support/pipeline";
import type { Mailbox } from "../../support/receiver";
import { newLinkedNode } from "../../support/relay-node";
import {
  assignHost,
  authorize,
  closeJoinCode,
  create,
  join,
  remove,
  revoke,
} from "../../support/sessions";
import * as sources from "../../support/source-sessions";
import { runSweep, sweepThrough } from "../../support/sweep";
import { EVENTS, endpointWith, patch } from "../../support/webhooks";

afterEach(() => {
  vi.useRealTimers();
});

/** What is shown has this form, and no field that the schema does not name. */
function expectForm(schema: z.ZodType, shown: unknown, name: string): void {
  const { data, error } = schema.safeParse(shown);
  expect(error, name).toBeUndefined();
  // An object without `strict` leaves out what it does not know.
  expect(data, name).toEqual(shown);
}

function bodyOf(type: EventType) {
  return eventBody(z.literal(type), EVENT_PAYLOADS[type].data);
}

test("every event that there is has the form that is described, in the list and in a webhook", async () => {
  stopClock();
  const tenant = await newOrganisation();
  const listening = await endpointWith(tenant);
  const ricloud = await endpointWith(tenant, { format: "ricloud" });
  await changeEndpoints(tenant);
  await changeRelaySession(tenant);
  await changeRelayNodes(tenant);
  await changeKeys(tenant);
  await changePermissions(tenant);
  await changeSources(tenant);
  await changeDevices(tenant);
  // D1 has more bytes than that.
  await sweepThrough(undefined, {
    DATABASE_LIMIT_BYTES: "1000",
    OPERATOR_ORGANISATION_ID: String(tenant.id),
  });

  const events = await eventually(async () => {
    const { body } = await call("GET", `${EVENTS}?limit=100`, { key: tenant.key });
    const types = new Set(body.data.map(({ type }: { type: EventType }) => type));
    expect([...types].sort()).toEqual([...EVENT_TYPES].sort());
    expect(body.next_cursor).toBeNull();
    return body.data as { id: string; type: EventType }[];
  });
  for (const listed of events) {
    const { id: _, ...event } = listed;
    expectForm(bodyOf(event.type), event, event.type);
    expectForm(listedEvent, listed, `${event.type} in the list`);
  }

  // An endpoint hears neither of its own making nor of the tests of others.
  const heard = events.filter(({ type }) => !isTest(type) && type !== "webhook-endpoint.created");
  for (const body of await bodiesOf(listening, heard.length)) {
    expectForm(bodyOf(body.type), body, `${body.type} in a webhook`);
  }
  for (const body of await bodiesOf(ricloud, heard.length)) {
    const name = `${body.type}.${body.action} in ricloud's format`;
    expectForm(ricloudEvent, body, name);
  }
});

test("a session's own webhook_url gets what is described", async () => {
  const tenant = await newOrganisation();
  const mailbox = newMailbox();
  const { body } = await create(tenant.key, {
    users: [{ ip: "192.0.2.1" }],
    webhook_url: mailbox.url,
    join_code: true,
    metadata: { map: "harbour" },
  });
  await remove(tenant.key, body.session_id);
  for (const sent of await bodiesOf({ mailbox }, 2)) expectForm(relaySession, sent, sent.status);
});

test("every event is described as a webhook by its name, with when it is sent", () => {
  const webhooks = describeWebhooks();
  expect(Object.keys(webhooks)).toEqual([...EVENT_TYPES, "relay-session", "ricloud-event"]);
  for (const [name, { when }] of Object.entries(webhooks))
    expect(when, name).toMatch(/^[A-Z].*\.$/);
});

test("every event belongs to one kind in the list", () => {
  const types = listedEvent.options.flatMap(({ shape }) => shape.type.options as EventType[]);
  expect(types.sort()).toEqual([...EVENT_TYPES].sort());
});

test.each([
  ["the data of a key", { type: "session.active", data: EXAMPLES.KeyEventData }],
  ["the data of a device", { type: "device.pair.approved", data: EXAMPLES.DeviceEventData }],
])(
  "an event with %s that its type does not have is none that is described",
  (_, { type, data }) => {
    const event = { id: "1", type, timestamp: "2026-11-22T08:00:00.000Z", data };
    expect(listedEvent.safeParse(event).success).toBe(false);
  },
);

/** The bodies that have arrived, once there are so many. */
async function bodiesOf({ mailbox }: { mailbox: Mailbox }, count: number) {
  const requests = await mailbox.waitForRequests(count);
  return requests.map(({ body }) => JSON.parse(body));
}

function isTest(type: EventType): boolean {
  return type.endsWith(".test");
}

async function changeEndpoints(tenant: Tenant): Promise<void> {
  const endpoint = await endpointWith(tenant, { event_types: ["connection.deleted"] });
  await call("POST", `${endpoint.path}:test`, { key: tenant.key });
  await patch(tenant, endpoint, { description: "Changed" });
  const gone = await endpointWith(tenant, { event_types: ["connection.created"] });
  // The first connection disables it.
  await gone.mailbox.answer({ kind: "status", status: 410 });
  await call("DELETE", endpoint.path, { key: tenant.key });
}

async function changeRelaySession(tenant: Tenant): Promise<void> {
  const users = [{ ip: "192.0.2.1" }];
  const more = { join_code: true, max_users: 2, metadata: { map: "harbour" } };
  const { body } = await create(tenant.key, { users, ...more });
  const { body: authorised } = await authorize(tenant.key, body.session_id);
  await revoke(tenant.key, body.session_id, authorised.session_user.authorization_token);
  const { body: joined } = await join(body.join_code);
  // The first who joined has not connected, and loses the seat.
  moveClock(60_000);
  const { body: next } = await join(body.join_code);
  expect(next.user_token).not.toBe(joined.user_token);
  await assignHost(tenant.key, body.session_id, next.user_token);
  await closeJoinCode(tenant.key, body.session_id);
  await remove(tenant.key, body.session_id);
}

async function changeRelayNodes({ key }: Tenant): Promise<void> {
  (await newLinkedNode(key)).send({ type: "draining" });
  const node = await newLinkedNode(key);
  node.send({ type: "leaving" });
  await node.closed;
}

async function changeKeys(tenant: Tenant): Promise<void> {
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  // The sweep announces its end.
  await newKey(tenant, { expiresAt, emails: ["ops@example.com"], ipAllowlist: ["192.0.2.0/24"] });
  const { id } = await newKey(tenant);
  await patchKey(tenant, id, { name: "Renamed", labels: ["ours"] });
  await patchKey(tenant, id, { refreshApiToken: true });
  await patchKey(tenant, id, { blocked: true });
  await call("DELETE", `/api-keys/${id}`, { key: tenant.key });
}

async function changePermissions({ key }: Tenant): Promise<void> {
  await permissions.register(key, "a", "b");
  await permissions.create(key, "a", "b", "send");
  const path = permissions.at("a", "b", "send");
  await permissions.set(key, path, true);
  await call("DELETE", path, { key });
  await call("DELETE", "/api/v2/connections/definition/b", { key });
}

async function changeSources(tenant: Tenant): Promise<void> {
  const { body: user } = await call("POST", "/users", {
    key: tenant.key,
    body: { identifier: "user-1" },
  });
  const broker = { ...tenant, userId: user.id };
  const hour = { session_ttl_seconds: 3_600 };
  const { type, mailbox } = await sources.newConnector(broker, { result: "active" }, hour);
  const id = await sources.newActive(broker, { type });
  await sources.answerWith(mailbox, { result: "failed", error: "invalid-credentials" });
  await sources.create(broker, { type, identifier: "ann", wait: 10 });
  const path = `/v1/connectors/${type}`;
  await call("PUT", path, { key: tenant.key, body: { url: mailbox.url, timeout_seconds: 20 } });
  await call("POST", `${path}/secret:rotate`, { key: tenant.key });
  moveClock(3_000_000);
  // The sweep announces the end of the session.
  await runSweep();
  await sources.remove(broker, id);
  await call("DELETE", path, { key: tenant.key });
}

async function changeDevices(tenant: Tenant): Promise<void> {
  const application = await newApplication(tenant);
  const device = await newDevice();
  const { token } = await pair(application, device);
  const path = `${application.path}/devices/${device.id}`;
  const role = { role: "operator" };
  await call("POST", `${path}/tokens:rotate`, {
    headers: { Authorization: `Bearer ${token}` },
    ip: device.ip,
    body: role,
  });
  await call("POST", `${path}/tokens:revoke`, { key: tenant.key, body: role });
  await call("DELETE", path, { key: tenant.key });

  const other = await newDevice();
  await request(application, other);
  const wanted = await request(application, other, { scopes: ["operator.write"] });
  await decide(application, wanted.id, "reject", { reason: "Unknown" });
  await request(application, await newDevice());
  // The sweep ends the last one.
  moveClock(300_000);
}
