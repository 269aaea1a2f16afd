/** Signing secrets: read, rotated with a grace in which both sign, and gone when that is over. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { advance } from "../../support/clock";
import { newMailbox, verified } from "../../support/pipeline";
import type { Mailbox, ReceivedRequest } from "../../support/receiver";
import { receive } from "../../support/ricloud-client";
import { create } from "../../support/sessions";
import { endpointWith } from "../../support/webhooks";

afterEach(() => {
  vi.useRealTimers();
});

/** Which of these secrets verify a request, each alone. */
function verifyingOf(request: ReceivedRequest | undefined, secrets: string[]): boolean[] {
  return secrets.map((secret) => {
    try {
      verified(request, secret);
      return true;
    } catch {
      return false;
    }
  });
}

const signaturesOf = (request: ReceivedRequest | undefined) =>
  request?.headers["webhook-signature"]?.split(" ") ?? [];

/** An owner of a secret, and a way to make it sign a request. */
interface Holder {
  tenant: Tenant;
  /** The first secret. */
  secret: string;
  /** `…/secret`. */
  path: string;
  /** The next request that is signed with it. */
  post(): Promise<ReceivedRequest | undefined>;
}

async function endpointHolder(): Promise<Holder> {
  const tenant = await newOrganisation();
  const { secret, path, mailbox } = await endpointWith(tenant);
  let sent = 0;
  const post = async () => {
    const { body } = await call("POST", `${path}:test`, { key: tenant.key });
    expect(body.status_code).toBe(204);
    sent += 1;
    return (await mailbox.waitForRequests(sent))[sent - 1];
  };
  return { tenant, secret, path: `${path}/secret`, post };
}

async function organisationHolder(): Promise<Holder> {
  const tenant = await newOrganisation();
  const post = async () => {
    const mailbox = newMailbox();
    await create(tenant.key, { webhook_url: mailbox.url });
    return (await mailbox.waitForRequests(1))[0];
  };
  return { tenant, secret: tenant.webhookSecret, path: "/v1/webhooks/secret", post };
}

async function rotate({ tenant, path }: Holder, body?: unknown): Promise<string> {
  const answer = await call("POST", `${path}:rotate`, { key: tenant.key, body });
  expect(answer.status, answer.text).toBe(200);
  expect(Object.keys(answer.body)).toEqual(["secret"]);
  expect(answer.body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  return answer.body.secret;
}

const DAY = 86_400;

describe.each([
  ["the secret of an endpoint", endpointHolder],
  ["the secret of an organisation, for what goes to a webhook_url,", organisationHolder],
])("%s", (_, newHolder) => {
  test("is read as it was in the first answer, and after a rotation the newest one is", async () => {
    const holder = await newHolder();
    const read = async () => (await call("GET", holder.path, { key: holder.tenant.key })).body;
    expect(await read()).toEqual({ secret: holder.secret });
    const next = await rotate(holder);
    expect(next).not.toBe(holder.secret);
    expect(await read()).toEqual({ secret: next });
  });

  test("signs alone, with one signature, before it is rotated", async () => {
    const holder = await newHolder();
    const request = await holder.post();
    expect(signaturesOf(request)).toHaveLength(1);
    expect(verifyingOf(request, [holder.secret])).toEqual([true]);
  });

  test("signs beside the new one for the grace, each enough by itself, and then no more", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const holder = await newHolder();
    const next = await rotate(holder, { grace_seconds: 600 });
    const secrets = [holder.secret, next];
    const during = await holder.post();
    expect(signaturesOf(during)).toHaveLength(2);
    expect(verifyingOf(during, secrets)).toEqual([true, true]);
    advance(598);
    expect(verifyingOf(await holder.post(), secrets)).toEqual([true, true]);
    advance(3);
    const after = await holder.post();
    expect(signaturesOf(after)).toHaveLength(1);
    expect(verifyingOf(after, secrets)).toEqual([false, true]);
  });

  test.each([undefined, {}])("signs for a day more when the rotation is %j", async (body) => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const holder = await newHolder();
    const next = await rotate(holder, body);
    advance(DAY - 5);
    expect(verifyingOf(await holder.post(), [holder.secret, next])).toEqual([true, true]);
    advance(6);
    expect(verifyingOf(await holder.post(), [holder.secret, next])).toEqual([false, true]);
  });

  test("signs for a week more at most", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const holder = await newHolder();
    const next = await rotate(holder, { grace_seconds: 604_800 });
    advance(7 * DAY - 5);
    expect(verifyingOf(await holder.post(), [holder.secret, next])).toEqual([true, true]);
    advance(6);
    expect(verifyingOf(await holder.post(), [holder.secret, next])).toEqual([false, true]);
  });

  test("ends at once with a grace of 0, and so do older ones in a longer grace", async () => {
    const holder = await newHolder();
    const second = await rotate(holder, { grace_seconds: 600 });
    const third = await rotate(holder, { grace_seconds: 0 });
    const request = await holder.post();
    expect(signaturesOf(request)).toHaveLength(1);
    expect(verifyingOf(request, [holder.secret, second, third])).toEqual([false, false, true]);
  });

  test("goes on signing for its own grace when the next one is rotated in that time", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const holder = await newHolder();
    const second = await rotate(holder, { grace_seconds: 60 });
    const third = await rotate(holder, { grace_seconds: 3_600 });
    const secrets = [holder.secret, second, third];
    expect(new Set(secrets).size).toBe(3);
    const during = await holder.post();
    expect(signaturesOf(during)).toHaveLength(3);
    expect(verifyingOf(during, secrets)).toEqual([true, true, true]);
    advance(61);
    expect(verifyingOf(await holder.post(), secrets)).toEqual([false, true, true]);
    advance(3_600);
    expect(verifyingOf(await holder.post(), secrets)).toEqual([false, false, true]);
  });

  test("leaves room in the header after many rotations: the newest and four before it sign", async () => {
    const holder = await newHolder();
    const secrets = [holder.secret];
    for (let i = 0; i < 6; i++) secrets.push(await rotate(holder, { grace_seconds: 600 }));
    const request = await holder.post();
    expect(verifyingOf(request, secrets)).toEqual([false, false, true, true, true, true, true]);
  });

  test.each<[string, unknown]>([
    ["a week and a second", 604_801],
    ["less than nothing", -1],
    ["half a second", 0.5],
    ["a word", "86400"],
    ["null", null],
  ])("is not rotated with a grace of %s", async (_name, grace) => {
    const holder = await newHolder();
    const body = { grace_seconds: grace };
    const answer = await call("POST", `${holder.path}:rotate`, { key: holder.tenant.key, body });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([
      { path: "grace_seconds", message: "must be a whole number from 0 to 604800" },
    ]);
    const { body: read } = await call("GET", holder.path, { key: holder.tenant.key });
    expect(read).toEqual({ secret: holder.secret });
  });

  test("is rotated once for an Idempotency-Key", async () => {
    const holder = await newHolder();
    const options = { key: holder.tenant.key, headers: { "Idempotency-Key": "rotate" } };
    const first = await call("POST", `${holder.path}:rotate`, options);
    const again = await call("POST", `${holder.path}:rotate`, options);
    expect(again.text).toBe(first.text);
    const { body } = await call("GET", holder.path, { key: holder.tenant.key });
    expect(body).toEqual(first.body);
  });

  test("is rotated once for each of several simultaneous callers", async () => {
    const holder = await newHolder();
    const answers = await Promise.all(
      Array.from({ length: 4 }, () =>
        call("POST", `${holder.path}:rotate`, {
          key: holder.tenant.key,
          body: { grace_seconds: 600 },
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const told = answers.map(({ body }) => body.secret);
    expect(new Set(told).size).toBe(4);
    // All of them are in their grace, and nobody has another secret.
    const request = await holder.post();
    expect(signaturesOf(request)).toHaveLength(told.length + 1);
    expect(verifyingOf(request, [holder.secret, ...told])).not.toContain(false);
  });
});

test("each endpoint has a secret of its own, and not the organisation's", async () => {
  const tenant = await newOrganisation();
  const [one, two] = [await endpointWith(tenant), await endpointWith(tenant)];
  const secrets = [one.secret, two.secret, tenant.webhookSecret];
  expect(new Set(secrets).size).toBe(3);
  await call("POST", `${one.path}/secret:rotate`, { key: tenant.key });
  const { body } = await call("GET", `${two.path}/secret`, { key: tenant.key });
  expect(body.secret).toBe(two.secret);
});

test("an organisation's secret is rotated with the permission to write webhooks, for that organisation only", async () => {
  const [ours, theirs] = [await newOrganisation(), await newOrganisation()];
  const path = "/v1/webhooks/secret";
  await call("POST", `${path}:rotate`, { key: ours.key, body: { grace_seconds: 0 } });
  expect((await call("GET", path, { key: theirs.key })).body.secret).toBe(theirs.webhookSecret);
  expect((await call("GET", path, { key: ours.key })).body.secret).not.toBe(ours.webhookSecret);
});

test("a delivery from before a rotation is signed with the secrets at the time of its attempt", async () => {
  const tenant = await newOrganisation();
  const { secret, path, mailbox } = await endpointWith(tenant, { event_types: ["connection.*"] });
  await mailbox.answer({ kind: "status", status: 500 });
  const body = { connectionId: "before" };
  await call("POST", "/api/v2/connections/definition", { key: tenant.key, body });
  const [first] = await mailbox.waitForRequests(1);
  const grace = { grace_seconds: 0 };
  const rotated = await call("POST", `${path}/secret:rotate`, { key: tenant.key, body: grace });
  const next = rotated.body.secret;
  const requests = await mailbox.waitForRequests(2);
  expect(verifyingOf(first, [secret, next])).toEqual([true, false]);
  expect(verifyingOf(requests.at(-1), [secret, next])).toEqual([false, true]);
  expect(requests.at(-1)?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
});

test("a webhook in ricloud's format has one signature: the newest secret signs at once", async () => {
  const tenant = await newOrganisation();
  const hook: Mailbox = newMailbox();
  const made = await call("POST", "/configs/webhook", { key: tenant.key, body: { url: hook.url } });
  const [first] = await hook.waitForRequests(1);
  if (!first) throw new Error("nothing arrived");
  receive(first, hook.url, made.body.secret);
  const path = `/v1/webhooks/endpoints/${made.body.id}`;
  const rotated = await call("POST", `${path}/secret:rotate`, { key: tenant.key });
  await call("POST", `${path}:test`, { key: tenant.key });
  const [, second] = await hook.waitForRequests(2);
  if (!second) throw new Error("nothing arrived");
  receive(second, hook.url, rotated.body.secret);
  expect(() => receive(second, hook.url, made.body.secret)).toThrow("does not match");
  const config = await call("GET", `/configs/webhook/${made.body.id}`, { key: tenant.key });
  expect(config.body.secret).toBe(rotated.body.secret);
});
