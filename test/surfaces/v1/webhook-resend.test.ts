/** Sending again: one delivery, or all that failed in a window of time. */
import { describe, expect, test } from "vitest";
import { type Answer, call, newOrganisation, type Tenant } from "../../support/client";
import { changeDeliveries } from "../../support/journals";
import { consume, deliveryRows, eventually, newMailbox, verified } from "../../support/pipeline";
import { create } from "../../support/sessions";
import {
  DELIVERIES,
  deliveriesOf,
  endpointWith,
  patch,
  registerConnection,
  settled,
  storeDelivery,
  type TestEndpoint,
} from "../../support/webhooks";

const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

const resend = (tenant: Tenant, id: string, headers: Record<string, string> = {}) =>
  call("POST", `${DELIVERIES}/${id}:resend`, { key: tenant.key, headers });

/** The delivery once it has so many attempts. */
const attempted = (tenant: Tenant, id: string, count: number) =>
  eventually(async () => {
    const { body } = await call("GET", `${DELIVERIES}/${id}`, { key: tenant.key });
    expect(body.attempts).toHaveLength(count);
    return body;
  });

const recover = (tenant: Tenant, { path }: TestEndpoint, body: unknown) =>
  call("POST", `${path}:recover`, { key: tenant.key, body });

/** A recovery once it is finished. */
const finished = (tenant: Tenant, { headers }: Answer) =>
  eventually(async () => {
    const { body } = await call("GET", headers.get("Location") ?? "", { key: tenant.key });
    expect(body.status).toBe("finished");
    return body;
  });

const time = (ms: number) => new Date(ms).toISOString();
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("sending a delivery again", () => {
  test.each(["delivered", "failed", "discarded"] as const)(
    "that is %s adds its attempt once, and leaves the schedule as it is",
    async (status) => {
      const tenant = await newOrganisation();
      const endpoint = await endpointWith(tenant);
      const id = await storeDelivery(tenant, endpoint, status);
      const [before] = await deliveriesOf(tenant);
      const answer = await resend(tenant, id);
      expect([answer.status, answer.body]).toEqual([202, before]);
      const after = await attempted(tenant, id, 2);
      expect(after).toEqual({
        ...before,
        status: "delivered",
        attempts: [
          before.attempts[0],
          { at, duration_ms: expect.any(Number), status_code: 204, response: "", error: null },
        ],
      });
      const [request, ...more] = await endpoint.mailbox.requests();
      expect(more).toEqual([]);
      expect(request?.headers["webhook-id"]).toBe(before.event_id);
      expect(verified(request, endpoint.secret).type).toBe("connection.created");
      const [row] = await deliveryRows(tenant);
      expect(row).toMatchObject({ attempt_count: 1, next_attempt_at: null });
    },
  );

  test.each(["delivered", "failed"] as const)(
    "that is %s and fails again leaves it as it was, with the attempt",
    async (status) => {
      const tenant = await newOrganisation();
      const endpoint = await endpointWith(tenant);
      await endpoint.mailbox.answer({ kind: "status", status: 500, body: "still" });
      const id = await storeDelivery(tenant, endpoint, status);
      await resend(tenant, id);
      const after = await attempted(tenant, id, 2);
      expect(after).toMatchObject({ status, next_attempt_at: null });
      expect(after.attempts[1]).toMatchObject({ status_code: 500, response: "still" });
      expect(await endpoint.mailbox.requests()).toHaveLength(1);
    },
  );

  test("that is still pending makes an attempt besides the schedule, and a success ends the schedule", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant, { event_types: ["connection.*"] });
    await endpoint.mailbox.answer(
      { kind: "status", status: 503, headers: { "retry-after": "2" } },
      { kind: "status", status: 204 },
    );
    await registerConnection(tenant, "asked");
    const owed = await eventually(async () => {
      const [delivery] = await deliveriesOf(tenant);
      expect(delivery.attempts).toHaveLength(1);
      return delivery;
    });
    expect((await resend(tenant, owed.id)).status).toBe(202);
    const after = await settled(tenant, "");
    expect(after.attempts).toMatchObject([{ status_code: 503 }, { status_code: 204 }]);
    expect(after.next_attempt_at).toBeNull();
  });

  test("twice sends it twice, and with one Idempotency-Key once", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const id = await storeDelivery(tenant, endpoint, "delivered");
    await resend(tenant, id);
    await resend(tenant, id);
    await attempted(tenant, id, 3);
    const headers = { "Idempotency-Key": "again" };
    const first = await resend(tenant, id, headers);
    expect((await resend(tenant, id, headers)).text).toBe(first.text);
    await attempted(tenant, id, 4);
    await resend(tenant, id);
    await attempted(tenant, id, 5);
    expect(await endpoint.mailbox.requests()).toHaveLength(4);
  });

  test("records a message that comes twice once, and later sends nothing for it", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const id = await storeDelivery(tenant, endpoint, "failed");
    const message = { v: 1, organisationId: tenant.id, id, resend: "once" };
    await consume("drawbridge-deliveries", [message, message]);
    const after = await attempted(tenant, id, 2);
    expect(after.status).toBe("delivered");
    const { length } = await endpoint.mailbox.requests();
    await consume("drawbridge-deliveries", [message]);
    expect(await endpoint.mailbox.requests()).toHaveLength(length);
    expect(await attempted(tenant, id, 2)).toEqual(after);
  });

  test("uses the endpoint's current address", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const id = await storeDelivery(tenant, endpoint, "failed");
    const next = newMailbox();
    await patch(tenant, endpoint, { url: next.url });
    await resend(tenant, id);
    await next.waitForRequests(1);
    expect(await endpoint.mailbox.requests()).toEqual([]);
  });

  test("works for a session's own webhook_url", async () => {
    const tenant = await newOrganisation();
    const mailbox = newMailbox();
    const { body: session } = await create(tenant.key, { webhook_url: mailbox.url });
    const { id } = await settled(tenant, "event_type=session.active");
    expect((await resend(tenant, id)).status).toBe(202);
    const [first, second] = await mailbox.waitForRequests(2);
    const posted = verified(second, tenant.webhookSecret);
    expect(posted).toEqual(verified(first, tenant.webhookSecret));
    expect(posted.session_id).toBe(session.session_id);
  });

  test("is in conflict with an endpoint that is disabled or deleted, and sends nothing", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const id = await storeDelivery(tenant, endpoint, "failed");
    await patch(tenant, endpoint, { enabled: false });
    const disabled = await resend(tenant, id);
    expect(disabled.body).toMatchObject({ status: 409, code: "endpoint-disabled" });
    expect(disabled.body.detail).toContain('{"enabled": true}');
    const recovery = await recover(tenant, endpoint, { since: time(Date.now() - HOUR) });
    expect(recovery.body).toMatchObject({ status: 409, code: "endpoint-disabled" });
    await call("DELETE", endpoint.path, { key: tenant.key });
    const deleted = await resend(tenant, id);
    expect(deleted.body).toMatchObject({ status: 409, code: "endpoint-deleted" });
    const { body } = await call("GET", `${DELIVERIES}/${id}`, { key: tenant.key });
    expect(body.attempts).toHaveLength(1);
    expect(await endpoint.mailbox.requests()).toEqual([]);
  });

  test("is refused after 50 attempts, so that its row cannot grow further, and a recovery skips it", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const full = await storeDelivery(tenant, endpoint, "failed");
    const almost = await storeDelivery(tenant, endpoint, "failed");
    const [stored] = await deliveryRows(tenant);
    for (const [id, count] of [
      [full, 50],
      [almost, 49],
    ] as const) {
      await changeDeliveries(tenant.id, (delivery) =>
        delivery.id === id
          ? { ...delivery, attempts: Array(count).fill(stored?.attempts[0]) }
          : null,
      );
    }
    expect((await resend(tenant, full)).body).toMatchObject({
      status: 409,
      code: "too-many-attempts",
    });
    await endpoint.mailbox.answer({ kind: "status", status: 500 });
    const window = { since: time(Date.now() - HOUR), until: time(Date.now() + HOUR) };
    const done = await finished(tenant, await recover(tenant, endpoint, window));
    expect(done.resent).toBe(1);
    await attempted(tenant, almost, 50);
    // Two were let in where there was room for one.
    const asked = { v: 1, organisationId: tenant.id };
    await consume("drawbridge-deliveries", [
      { ...asked, id: almost, resend: "one" },
      { ...asked, id: full, resend: "two" },
    ]);
    expect(await endpoint.mailbox.requests()).toHaveLength(1);
    await attempted(tenant, full, 50);
  });

  test("takes only an empty body", async () => {
    const tenant = await newOrganisation();
    const id = await storeDelivery(tenant, await endpointWith(tenant), "failed");
    const options = { key: tenant.key, body: { url: "https://example.com/" } };
    const { status, body } = await call("POST", `${DELIVERIES}/${id}:resend`, options);
    expect([status, body.errors[0].path]).toEqual([400, "url"]);
  });
});

describe("recovering an endpoint", () => {
  test("sends exactly what did not arrive in the window, and shows its progress", async () => {
    const tenant = await newOrganisation();
    const fields = { event_types: ["connection.*"] };
    const endpoint = await endpointWith(tenant, fields);
    const other = await endpointWith(tenant, fields);
    const until = Date.now() - HOUR;
    const since = until - HOUR;
    const lost = [
      await storeDelivery(tenant, endpoint, "failed", since),
      await storeDelivery(tenant, endpoint, "failed", since + 60_000),
      await storeDelivery(tenant, endpoint, "discarded", until - 1),
    ];
    await storeDelivery(tenant, endpoint, "failed", since - 1);
    await storeDelivery(tenant, endpoint, "failed", until);
    await storeDelivery(tenant, endpoint, "delivered", since + 1_000);
    await storeDelivery(tenant, endpoint, "pending", since + 2_000);
    await storeDelivery(tenant, other, "failed", since + 3_000);

    const window = { since: time(since), until: time(until) };
    const started = await recover(tenant, endpoint, window);
    expect(started.status).toBe(202);
    expect(started.body).toEqual({
      id: expect.stringMatching(/^whr_[0-9a-f]{32}$/),
      endpoint_id: endpoint.id,
      status: "running",
      ...window,
      resent: 0,
      created_at: at,
      finished_at: null,
    });
    const done = await finished(tenant, started);
    const end = { status: "finished", resent: 3, finished_at: at };
    expect(done).toEqual({ ...started.body, ...end });
    await eventually(async () => {
      const rows = (await deliveryRows(tenant)).filter(({ attempts }) => attempts.length > 1);
      expect(rows.map(({ id, status }) => [id, status]).toSorted()).toEqual(
        lost.map((id) => [id, "delivered"]).toSorted(),
      );
    });
    expect(await endpoint.mailbox.requests()).toHaveLength(3);
    expect(await other.mailbox.requests()).toEqual([]);
  });

  test("goes up to now without an end, and is finished at once when nothing was lost", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const before = Date.now();
    const started = await recover(tenant, endpoint, { since: time(before - DAY) });
    expect(Date.parse(started.body.until)).toBeGreaterThanOrEqual(before);
    expect(await finished(tenant, started)).toMatchObject({ resent: 0 });
  });

  test("leaves a delivery failed that fails again, which the next recovery sends again", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    await endpoint.mailbox.answer({ kind: "status", status: 500 }, { kind: "status", status: 204 });
    const id = await storeDelivery(tenant, endpoint, "failed", Date.now() - HOUR);
    const window = { since: time(Date.now() - 2 * HOUR) };
    await finished(tenant, await recover(tenant, endpoint, window));
    expect(await attempted(tenant, id, 2)).toMatchObject({ status: "failed" });
    await finished(tenant, await recover(tenant, endpoint, window));
    expect(await attempted(tenant, id, 3)).toMatchObject({ status: "delivered" });
    expect(await finished(tenant, await recover(tenant, endpoint, window))).toMatchObject({
      resent: 0,
    });
  });

  test("takes any window of 14 days, in any time zone", async () => {
    const tenant = await newOrganisation();
    const endpoint = await endpointWith(tenant);
    const now = Date.now();
    const window = { since: time(now - 20 * DAY), until: time(now - 6 * DAY) };
    expect((await recover(tenant, endpoint, window)).status).toBe(202);
    const zoned = { since: "2026-01-01T02:00:00+02:00", until: "2026-01-02T00:00:00-05:00" };
    const { status, body } = await recover(tenant, await endpointWith(tenant), zoned);
    expect(status).toBe(202);
    expect(body).toMatchObject({
      since: "2026-01-01T00:00:00.000Z",
      until: "2026-01-02T05:00:00.000Z",
    });
  });

  const now = Date.UTC(2026, 0, 20);
  test.each<[string, object, string, RegExp]>([
    ["no beginning", {}, "since", /RFC 3339/],
    [
      "a window of more than 14 days",
      { since: time(now - 14 * DAY - 1), until: time(now) },
      "since",
      /at most 14 days/,
    ],
    ["an end at its beginning", { since: time(now), until: time(now) }, "since", /before until/],
    [
      "an end before its beginning",
      { since: time(now), until: time(now - 1) },
      "since",
      /before until/,
    ],
    ["a beginning to come", { since: time(Date.now() + DAY) }, "since", /before until/],
    ["a beginning that is a number", { since: now }, "since", /RFC 3339/],
    ["a day without a time", { since: "2026-01-20" }, "since", /RFC 3339/],
    ["a day that there is not", { since: "2026-02-30T00:00:00Z" }, "since", /RFC 3339/],
    ["a time without a zone", { since: "2026-01-20T00:00:00" }, "since", /RFC 3339/],
    ["an end that is none", { since: time(now), until: "soon" }, "until", /RFC 3339/],
    ["a field that nobody knows", { since: time(now), event_types: [] }, "event_types", /not a/],
  ])("is refused with %s", async (_, body, path, message) => {
    const tenant = await newOrganisation();
    const answer = await recover(tenant, await endpointWith(tenant), body);
    expect(answer.status).toBe(400);
    const problem = answer.body.errors.find((error: { path: string }) => error.path === path);
    expect(problem?.message).toMatch(message);
  });
});

test("another organisation can neither resend, nor recover, nor see a recovery", async () => {
  const [owner, other] = [await newOrganisation(), await newOrganisation()];
  const endpoint = await endpointWith(owner);
  const id = await storeDelivery(owner, endpoint, "failed", Date.now() - HOUR);
  const never = `whd_${"0".repeat(32)}_${"0".repeat(12)}`;
  const headers = { "X-Request-Id": "same" };
  const [theirs, none] = [await resend(other, id, headers), await resend(other, never, headers)];
  expect(theirs.body).toMatchObject({ status: 404, code: "delivery-not-found" });
  expect(theirs.text).toBe(none.text.replaceAll(never, id));
  const window = { since: time(Date.now() - 2 * HOUR) };
  const refused = await recover(other, endpoint, window);
  expect(refused.body).toMatchObject({ status: 404, code: "webhook-endpoint-not-found" });
  const started = await recover(owner, endpoint, window);
  const location = started.headers.get("Location") ?? "";
  const seen = await call("GET", location, { key: other.key, headers });
  const nothing = await call("GET", "/v1/webhooks/recoveries/whr_0", { key: other.key, headers });
  expect(seen.body).toMatchObject({ status: 404, code: "recovery-not-found" });
  expect(seen.text).toBe(nothing.text);
  await attempted(owner, id, 2);
  expect(await endpoint.mailbox.requests()).toHaveLength(1);
});
