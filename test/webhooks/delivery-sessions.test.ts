/**
 * What happens to a relay session is posted to its webhook_url: the RelaySession itself, signed,
 * and once.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { newOrganisation } from "../support/client";
import {
  deliveryRows,
  eventRows,
  eventually,
  newEvent,
  newMailbox,
  record,
  verified,
} from "../support/pipeline";
import { authorize, create, remove, revoke } from "../support/sessions";

afterEach(() => {
  vi.useRealTimers();
});

/** Two users, of whom one has everything that a user can have. */
const USERS = [{ ip: "192.0.2.1" }, { ip: "2001:db8::2", connection_id: "c-2", device_id: "d-2" }];
/** Only the session's object knows the figures of the sockets. */
const UNKNOWN = { connected: null, bytes_in: null, bytes_out: null, frames_dropped: null };

type User = Record<string, unknown>;
const withoutFigures = (answer: { session_users: User[] }) => ({
  ...answer,
  session_users: answer.session_users.map((user) => ({ ...user, ...UNKNOWN })),
});

async function announcedSession(more: Record<string, unknown> = {}) {
  const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
  const { body } = await create(tenant.key, { users: USERS, webhook_url: mailbox.url, ...more });
  return { tenant, mailbox, session: body };
}

describe("a session that became ready", () => {
  test("is posted as the API answered it, with its tokens", async () => {
    const { tenant, mailbox, session } = await announcedSession({
      metadata: { map: "dust" },
      join_code: true,
      region: "weur",
    });
    const [request] = await mailbox.waitForRequests(1);
    expect(request).toMatchObject({
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    const posted = verified(request, tenant.webhookSecret);
    expect(posted).toEqual(withoutFigures(session));
    expect(posted).toMatchObject({ status: "READY", ready: true, webhook_url: mailbox.url });
    expect(posted.authorization_token).toBeGreaterThan(0);
  });

  test("is signed with its organisation's secret and no other's, under the event's id", async () => {
    const { tenant, mailbox } = await announcedSession();
    const other = await newOrganisation();
    const [request] = await mailbox.waitForRequests(1);
    expect(() => verified(request, other.webhookSecret)).toThrow();
    if (!request) throw new Error("no request");
    const forged = { ...request, body: request.body.replace("READY", "Ended") };
    expect(() => verified(forged, tenant.webhookSecret)).toThrow();
    const [event] = await eventRows(tenant);
    expect(event).toMatchObject({ type: "session.active", id: request.headers["webhook-id"] });
  });

  test("is recorded as delivered, once, with the receiver's answer", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    await mailbox.answer({ kind: "status", status: 202, body: "thanks" });
    await create(tenant.key, { webhook_url: mailbox.url });
    const [delivery] = await eventually(async () => {
      const rows = await deliveryRows(tenant);
      expect(rows).toMatchObject([{ status: "delivered" }]);
      return rows;
    });
    expect(delivery).toMatchObject({
      event_type: "session.active",
      url: mailbox.url,
      attempt_count: 1,
      next_attempt_at: null,
      attempts: [{ statusCode: 202, response: "thanks", error: null }],
    });
    expect(await mailbox.requests()).toHaveLength(1);
  });

  test("is recorded as an event and owed to nobody when it has no webhook_url", async () => {
    const tenant = await newOrganisation();
    await create(tenant.key, { webhook_url: "" });
    await eventually(async () => {
      expect(await eventRows(tenant)).toMatchObject([{ type: "session.active" }]);
    });
    expect(await deliveryRows(tenant)).toEqual([]);
  });
});

describe("a session that ended", () => {
  test("is posted with the reason and the tokens that it had, under another id", async () => {
    const { tenant, mailbox, session } = await announcedSession();
    await remove(tenant.key, session.session_id);
    const requests = await mailbox.waitForRequests(2);
    const bodies = requests.map((request) => verified(request, tenant.webhookSecret));
    const ended = bodies.find(({ status }) => status === "Ended");
    expect(ended).toEqual({
      ...withoutFigures(session),
      status: "Ended",
      ready: false,
      linked: false,
      error: "organisation",
    });
    expect(new Set(requests.map(({ headers }) => headers["webhook-id"])).size).toBe(2);
  });

  test("by its time is posted too", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const { tenant, mailbox, session } = await announcedSession({ ttl_seconds: 60 });
    await mailbox.waitForRequests(1);
    vi.setSystemTime(Date.now() + 60_000);
    expect(await runDurableObjectAlarm(env.SESSIONS.getByName(session.session_id))).toBe(true);
    const [, request] = await mailbox.waitForRequests(2);
    expect(verified(request, tenant.webhookSecret)).toMatchObject({
      session_id: session.session_id,
      status: "Ended",
      error: "api",
    });
  });
});

describe("a session that failed", () => {
  test("is posted with its error", async () => {
    const [tenant, mailbox] = [await newOrganisation(), newMailbox()];
    const event = await newEvent(tenant, "session.failed", mailbox.url);
    const failed = {
      ...event.data.session,
      status: "failed",
      endedAt: event.at,
      error: "no relay",
    };
    await record({ ...event, data: { session: failed } });
    const [request] = await mailbox.waitForRequests(1);
    expect(verified(request, tenant.webhookSecret)).toMatchObject({
      session_id: event.data.session.id,
      status: "Error",
      ready: false,
      error: "no relay",
    });
  });
});

describe("users who come and go", () => {
  test("are recorded as events in their order, and not posted", async () => {
    const { tenant, mailbox, session } = await announcedSession();
    const id = session.session_id;
    const { body } = await authorize(tenant.key, id);
    await revoke(tenant.key, id, body.session_user.authorization_token);
    await remove(tenant.key, id);
    await eventually(async () => {
      expect((await eventRows(tenant)).map(({ data }) => JSON.parse(data).session.version)).toEqual(
        expect.arrayContaining([1, 2, 3, 4]),
      );
      const deliveries = await deliveryRows(tenant);
      expect(deliveries.map(({ status }) => status)).toEqual(["delivered", "delivered"]);
    });
    const events = (await eventRows(tenant)).map(({ type, data }) => ({
      type,
      version: JSON.parse(data).session.version,
      users: JSON.parse(data).session.users.length,
    }));
    expect(events.toSorted((a, b) => a.version - b.version)).toEqual([
      { type: "session.active", version: 1, users: 2 },
      { type: "session.user_authorized", version: 2, users: 3 },
      { type: "session.user_revoked", version: 3, users: 2 },
      { type: "session.expired", version: 4, users: 2 },
    ]);
    const deliveries = await deliveryRows(tenant);
    expect(deliveries.map(({ event_type }) => event_type).toSorted()).toEqual([
      "session.active",
      "session.expired",
    ]);
    expect(await mailbox.requests()).toHaveLength(2);
  });
});

describe("the stored rows", () => {
  test("of events and deliveries hold no token, join code or secret of the session", async () => {
    const { tenant, mailbox, session } = await announcedSession({ join_code: true });
    const { body } = await authorize(tenant.key, session.session_id);
    await remove(tenant.key, session.session_id);
    await mailbox.waitForRequests(2);
    const stored = await eventually(async () => {
      const rows = [await eventRows(tenant), await deliveryRows(tenant)];
      expect(rows.map(({ length }) => length)).toEqual([3, 2]);
      return JSON.stringify(rows);
    });
    const secrets = [
      session.authorization_token,
      ...session.session_users.map((user: User) => user.authorization_token),
      body.session_user.authorization_token,
      session.join_code,
      tenant.key,
      tenant.webhookSecret,
    ].map(String);
    expect(secrets).toHaveLength(7);
    // Its own id is there, so the test has looked in the right place for what is not there.
    expect(stored).toContain(session.session_id);
    expect(secrets.filter((secret) => stored.includes(secret))).toEqual([]);
  });
});
