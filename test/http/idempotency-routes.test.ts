/**
 * Every operation that takes an Idempotency-Key answers a repeat with its first answer. Every answer tells
 * caches to store nothing, since most answers show a secret or belong to one organisation.
 */
import { describe, expect, test } from "vitest";
import { takesIdempotency } from "../../src/openapi/refusals";
import { type Answer, call, newOrganisation, type Tenant } from "../support/client";
import { signIn } from "../support/keys";
import {
  fullCredential,
  goodRequest,
  KEYED_OPERATIONS,
  send,
  TESTED_OPERATIONS,
  type TestedOperation,
} from "../support/tested-operations";

/** Operations whose request is refused here before their Idempotency-Key is read. */
const REFUSED_BEFORE: Record<string, string> = {
  expireSession: "it has neither the root token nor a signature; what has ended stays as it is",
  callRpc: "it has no credential: test/surfaces/polarclaw has the actions",
};

/** Also where the handler finds out who calls. */
function takesIdempotencyKey({ operation }: TestedOperation): boolean {
  return takesIdempotency(operation) || (operation.headers?.includes("Idempotency-Key") ?? false);
}

const repeatable = TESTED_OPERATIONS.filter(
  (at) => takesIdempotencyKey(at) && !(at.id in REFUSED_BEFORE),
);

test("every POST and PATCH takes an Idempotency-Key, but for what a device does before it is paired", () => {
  const others = TESTED_OPERATIONS.filter(
    (at) => ["POST", "PATCH"].includes(at.operation.method) && !takesIdempotencyKey(at),
  );
  expect(others.map(({ id }) => id)).toEqual([
    // It is stored nowhere.
    "createPairingChallenge",
    // The nonce is used once, and a device that asks again gets its pending request or its token.
    "requestPairing",
  ]);
});

type Sender = (headers?: Record<string, string>) => Promise<Answer>;

/**
 * Sends one valid request, with the credential that its operation asks for, as often as a test wants.
 */
async function sender(at: TestedOperation, tenant: Tenant): Promise<Sender> {
  const request = await goodRequest(at, tenant);
  const credential = await fullCredential(at, tenant);
  return async (headers = {}) => {
    const answer = await send(at, request, credential, { headers });
    expect(answer.status, answer.text).toBe(request.status);
    return answer;
  };
}

describe.each(repeatable)("$id", (at) => {
  test("answers a repeat with its first answer, and does nothing again", async () => {
    const repeat = await sender(at, await newOrganisation());
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const first = await repeat(headers);
    expect(first.headers.get("Idempotent-Replayed")).toBeNull();
    const again = await repeat(headers);
    expect(again.text).toBe(first.text);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(again.headers.get("Cache-Control")).toBe("no-store");
  });
});

const forKeys = repeatable.filter(
  (at) => KEYED_OPERATIONS.includes(at) && at.keyIn === "header" && !at.isForOperators,
);

describe.each(forKeys)("$id", (at) => {
  test("never answers an operator with what was answered to another one with the same API key", async () => {
    const tenant = await newOrganisation();
    const request = await goodRequest(at, tenant);
    const headers = { "Idempotency-Key": "same" };
    for (const key of [await signIn(tenant.key), await signIn(tenant.key), tenant.key]) {
      const answer = await send(at, request, key, { headers });
      expect(answer.headers.get("Idempotent-Replayed"), answer.text).toBeNull();
    }
  });
});

describe.each(TESTED_OPERATIONS)("$id", (at) => {
  test("tells caches to store neither its answer nor its refusal", async () => {
    const tenant = await newOrganisation();
    const repeat = await sender(at, tenant);
    expect((await repeat()).headers.get("Cache-Control")).toBe("no-store");
    const { path } = await goodRequest(at, tenant);
    const refused = await call(at.operation.method, path, { key: "garbage" });
    expect(refused.headers.get("Cache-Control")).toBe("no-store");
  });
});

test.each([
  ["GET", "/nowhere", 404],
  ["DELETE", "/v1/health", 405],
])(
  "%s %s, which does not exist, tells caches to store nothing either",
  async (method, path, status) => {
    const answer = await call(method, path);
    expect([answer.status, answer.headers.get("Cache-Control")]).toEqual([status, "no-store"]);
  },
);
