/**
 * When D1 or a session's object cannot be reached, callers are told to come back, in the surface's
 * format.
 */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Answer, call, newOrganisation } from "../support/client";
import { d1Lost, withD1 } from "../support/d1";
import { insertKey } from "../support/keys";
import { anyAddress, authorize, create, list, read, remove, revoke } from "../support/sessions";

afterEach(() => {
  vi.restoreAllMocks();
});

function expectComeBack(answer: Answer, code?: string): void {
  expect(answer.status, answer.text).toBe(503);
  expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
  // The errors of relay sessions have two fields.
  if (code === undefined)
    expect(answer.body).toEqual({ code: "unavailable", message: expect.any(String) });
  else expect(answer.body).toMatchObject({ status: 503, code });
  expect(answer.text).not.toMatch(/D1_ERROR|select|insert|network connection/i);
}

const root = { key: env.DRAWBRIDGE_ROOT_TOKEN };

describe("while D1 cannot be reached,", () => {
  test("a list of sessions tells its caller to come back", async () => {
    const { key } = await newOrganisation();
    await list(key);
    expectComeBack(await withD1(d1Lost, () => list(key)));
    expect((await list(key)).status).toBe(200);
  });

  test("an API key that is not in memory is told to come back, and not that it is unknown", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id);
    expectComeBack(await withD1(d1Lost, () => list(token)));
    expect((await list(token)).status).toBe(200);
  });

  test("a create with a join code or an Idempotency-Key makes nothing and tells its caller to come back", async () => {
    const { key } = await newOrganisation();
    await list(key);
    await withD1(d1Lost, async () => {
      expectComeBack(await create(key, { join_code: true }));
      expectComeBack(await create(key, {}, { "Idempotency-Key": "k" }));
    });
    expect((await list(key)).body.total_count).toBe(0);
  });

  test("a join tells its caller to come back", async () => {
    const body = { join_code: "3333-3333" };
    const answer = await withD1(d1Lost, () =>
      call("POST", "/v1/relays/join", { body, ip: anyAddress() }),
    );
    expectComeBack(answer);
  });

  test("a key in memory can still create, read, change and end a session", async () => {
    const { key } = await newOrganisation();
    await list(key);
    await withD1(d1Lost, async () => {
      const { status, body } = await create(key, { users: [{ ip: "1.1.1.1" }] });
      expect(status).toBe(200);
      const id = body.session_id;
      expect((await read(key, id)).status).toBe(200);
      const { session_user: user } = (await authorize(key, id)).body;
      expect((await revoke(key, id, user.authorization_token)).status).toBe(200);
      expect((await remove(key, id)).status).toBe(204);
      expect((await read(key, id)).status).toBe(404);
    });
  });

  test("no organisation can be made, listed or deleted, and each call tells its caller to come back", async () => {
    const { id } = await newOrganisation();
    await withD1(d1Lost, async () => {
      const body = { name: "Lost" };
      expectComeBack(await call("POST", "/v1/organisations", { ...root, body }), "unavailable");
      expectComeBack(await call("GET", "/v1/organisations", root), "unavailable");
      expectComeBack(await call("DELETE", `/v1/organisations/${id}`, root), "unavailable");
    });
    const { body } = await call("GET", "/v1/organisations?limit=100", root);
    expect(body.data.map((one: { id: number }) => one.id)).toContain(id);
    expect(body.data.map((one: { name: string }) => one.name)).not.toContain("Lost");
  });

  test("health says that D1 is not reachable, and the caller's address is still answered", async () => {
    await withD1(d1Lost, async () => {
      const { status, body } = await call("GET", "/v1/health");
      expect(status).toBe(503);
      expect(body).toMatchObject({ status: "degraded", d1: { status: "unreachable" } });
      expect((await call("GET", "/v1/ip")).status).toBe(200);
    });
  });
});

/** Makes every call on a session's object fail as the platform would, and counts the calls. */
function breakObjects(traits: { overloaded?: boolean; retryable?: boolean }, times = Infinity) {
  let left = times;
  const namespace = Object.getPrototypeOf(env.SESSIONS) as DurableObjectNamespace;
  const getByName = namespace.getByName;
  const calls: string[] = [];
  vi.spyOn(namespace, "getByName").mockImplementation(function (
    this: DurableObjectNamespace,
    name,
    options,
  ) {
    const stub = getByName.call(this, name, options);
    return new Proxy(stub, {
      get(target, call) {
        if (typeof call === "string") calls.push(call);
        if (left-- <= 0) return Reflect.get(target, call, target);
        return () => Promise.reject(Object.assign(new Error("cannot be reached"), traits));
      },
    });
  });
  return calls;
}

describe("a call on a session's object", () => {
  test("that is overloaded is told to come back, and is not repeated", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const calls = breakObjects({ overloaded: true, retryable: true });
    expectComeBack(await read(key, id));
    expectComeBack(await remove(key, id));
    expectComeBack(await authorize(key, id));
    expectComeBack(await revoke(key, id, 1));
    expect(calls).toEqual(["read", "expire", "authorizeUser", "revokeUser"]);
  });

  test("that was lost for a moment is repeated and succeeds if it only reads", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const calls = breakObjects({ retryable: true }, 1);
    expect((await read(key, id)).status).toBe(200);
    expect(calls).toEqual(["read", "read"]);
  });

  test("that was lost for a moment is not repeated if it changes something, since it may have been done", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const calls = breakObjects({ retryable: true }, 1);
    expectComeBack(await authorize(key, id));
    expect(calls.filter((name) => name === "authorizeUser")).toHaveLength(1);
  });
});
