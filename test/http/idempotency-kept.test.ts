/**
 * Which answers are kept for an Idempotency-Key: successes, and refusals for which the request
 * would have to change. A refusal that may pass is forgotten, and a repeat runs. In each case the
 * request is refused, and then the reason for it is removed.
 */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { type Answer, call, newOrganisation, type Tenant } from "../support/client";
import { decide, newApplication, newDevice, request } from "../support/devices";
import { keyBody, newKey, patchKey } from "../support/keys";
import { create as createPermission, register } from "../support/permissions";
import { create, revoke, SESSIONS } from "../support/sessions";

afterEach(() => {
  vi.useRealTimers();
});

/** A request that is refused, and what makes the same request succeed. */
interface Case {
  send(): Promise<Answer>;
  removeObstacle(): Promise<unknown>;
}
type Prepare = (tenant: Tenant) => Promise<Case>;

const headers = { "Idempotency-Key": "k" };
const ENDPOINTS = "/v1/webhooks/endpoints";
const hook = () => `${env.TEST_RECEIVER_URL}/hooks/kept`;

function post(key: string, path: string, body: unknown): Promise<Answer> {
  return call("POST", path, { key, body, headers });
}

async function newEndpoint({ key }: Tenant): Promise<string> {
  return (await call("POST", ENDPOINTS, { key, body: { url: hook() } })).body.id;
}

const fullSession: Prepare = async ({ key }) => {
  const { body } = await create(key, { users: [{ ip: "1.1.1.1" }], max_users: 1 });
  const { session_id: id, session_users: users } = body;
  return {
    send: () => post(key, `${SESSIONS}:authorize-user`, { session_id: id, user_ip: "2.2.2.2" }),
    removeObstacle: () => revoke(key, id, users[0].authorization_token),
  };
};

const tooManyEndpoints: Prepare = async (tenant) => {
  const ids: string[] = [];
  for (;;) {
    const { status, body } = await call("POST", ENDPOINTS, {
      key: tenant.key,
      body: { url: hook() },
    });
    if (status !== 201) break;
    ids.push(body.id);
  }
  return {
    send: () => post(tenant.key, ENDPOINTS, { url: hook() }),
    removeObstacle: () => call("DELETE", `${ENDPOINTS}/${ids[0]}`, { key: tenant.key }),
  };
};

const disabledEndpoint: Prepare = async (tenant) => {
  const { key } = tenant;
  const path = `${ENDPOINTS}/${await newEndpoint(tenant)}`;
  await call("PATCH", path, { key, body: { enabled: false } });
  const since = new Date(Date.now() - 60_000).toISOString();
  return {
    send: () => post(key, `${path}:recover`, { since }),
    removeObstacle: () => call("PATCH", path, { key, body: { enabled: true } }),
  };
};

const revokedToken: Prepare = async (tenant) => {
  const at = await newApplication(tenant);
  const device = await newDevice();
  const pair = async () => {
    const { id } = await request(at, device, { scopes: [] });
    await decide(at, id, "approve");
  };
  await pair();
  const path = `${at.path}/devices/${device.id}/tokens:rotate`;
  await call("POST", path.replace("rotate", "revoke"), {
    key: tenant.key,
    body: { role: "operator" },
  });
  return { send: () => post(tenant.key, path, { role: "operator" }), removeObstacle: pair };
};

const tooManySignIns: Prepare = async (tenant) => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  const { token } = await newKey(tenant, { permissions: ["operator:sign-in"] });
  const signIn = (more = {}) =>
    call("POST", "/v1/auth/session-tokens", { body: { token }, headers: more });
  while ((await signIn()).status === 201);
  return {
    send: () => signIn(headers),
    removeObstacle: async () => vi.setSystemTime(Date.now() + 60_001),
  };
};

test.each<[string, Prepare, number]>([
  ["the session is full", fullSession, 409],
  ["there are too many webhook endpoints", tooManyEndpoints, 409],
  ["the webhook endpoint is disabled", disabledEndpoint, 409],
  ["the device's token is revoked", revokedToken, 409],
  ["the key signed in too often", tooManySignIns, 429],
])(
  "a refusal that %s is forgotten, and a repeat of the same request succeeds later",
  async (_, prepare, status) => {
    const { send, removeObstacle } = await prepare(await newOrganisation());
    const refused = await send();
    expect(refused.status, refused.text).toBe(status);
    await removeObstacle();
    const done = await send();
    expect(done.status, done.text).toBeLessThan(300);
    expect(done.headers.get("Idempotent-Replayed")).toBeNull();
    const again = await send();
    expect([again.text, again.headers.get("Idempotent-Replayed")]).toEqual([done.text, "true"]);
  },
);

const takenConnection: Prepare = async ({ key }) => {
  await register(key, "taken");
  return {
    send: () => post(key, "/connections/definition", { connectionId: "taken" }),
    removeObstacle: () => call("DELETE", "/connections/definition/taken", { key }),
  };
};

const existingPermission: Prepare = async ({ key }) => {
  await register(key, "c");
  await createPermission(key, "c", "r", "send");
  const body = { connectionId: "c", remoteConnectionId: "r", direction: "send" };
  return {
    send: () => post(key, "/relay/permission", body),
    removeObstacle: () => call("DELETE", "/relay/permission/c/r/send", { key }),
  };
};

const takenName: Prepare = async (tenant) => {
  const dnsName = `taken-${tenant.id}`;
  const { id } = await newKey(tenant, { dnsName });
  return {
    send: () => post(tenant.key, "/api-keys", keyBody(tenant, { dnsName })),
    removeObstacle: () => patchKey(tenant, id, { dnsName: null }),
  };
};

const decidedRequest: Prepare = async (tenant) => {
  const at = await newApplication(tenant);
  const { id } = await request(at, await newDevice(), { scopes: [] });
  await decide(at, id, "reject");
  const path = `${at.path}/pairing/requests/${id}:approve`;
  return { send: () => post(tenant.key, path, {}), removeObstacle: async () => undefined };
};

const endedSession: Prepare = async ({ key }) => {
  const { session_id: id } = (await create(key)).body;
  await call("DELETE", `${SESSIONS}/${id}`, { key });
  return {
    send: () => post(key, `${SESSIONS}:authorize-user`, { session_id: id, user_ip: "2.2.2.2" }),
    removeObstacle: async () => undefined,
  };
};

const permissionNotHeld: Prepare = async (tenant) => {
  const { id, token } = await newKey(tenant, { permissions: ["keys:write"] });
  return {
    send: () => post(token, "/api-keys", keyBody(tenant, { permissions: ["relays:read"] })),
    removeObstacle: () => patchKey(tenant, id, { permissions: ["*"] }),
  };
};

const unknownDevice: Prepare = async (tenant) => {
  const at = await newApplication(tenant);
  const device = await newDevice();
  return {
    send: () =>
      call("PATCH", `${at.path}/devices/${device.id}`, {
        key: tenant.key,
        body: { label: "Bench" },
        headers,
      }),
    removeObstacle: async () => {
      const { id } = await request(at, device, { scopes: [] });
      await decide(at, id, "approve");
    },
  };
};

const wrongBody: Prepare = async ({ key }) => ({
  send: () => post(key, SESSIONS, { max_users: 0 }),
  removeObstacle: async () => undefined,
});

test.each<[string, Prepare, number]>([
  ["the connection exists", takenConnection, 409],
  ["the relay permission exists", existingPermission, 409],
  ["the name is taken", takenName, 409],
  ["the pairing request is decided", decidedRequest, 409],
  ["the session has ended", endedSession, 409],
  ["the key does not hold what it gives", permissionNotHeld, 403],
  ["there is no such device", unknownDevice, 404],
  ["a field is wrong", wrongBody, 400],
])(
  "a refusal that %s is kept, and a repeat gets it again until the request changes",
  async (_, prepare, status) => {
    const { send, removeObstacle } = await prepare(await newOrganisation());
    const refused = await send();
    expect(refused.status, refused.text).toBe(status);
    expect(refused.headers.get("Idempotent-Replayed")).toBeNull();
    await removeObstacle();
    const again = await send();
    expect([again.status, again.text]).toEqual([status, refused.text]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
  },
);
