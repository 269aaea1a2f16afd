/**
 * The signatures of Alibaba's SDKs: which signed calls are accepted, what is signed, and which keys may
 * sign. `signature-tampering.test.ts` changes calls after they were signed.
 */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { deriveAccessKey } from "../../../src/keys/access-key";
import {
  answerTo,
  type Pair,
  pairOf,
  send,
  signAcs3,
  signV1,
  timestamp,
  type Unsigned,
  withHeader,
} from "../../support/alibaba";
import { call } from "../../support/client";
import { newAddress, newApplication, type TestApplication } from "../../support/devices";

let at: TestApplication;
let pair: Pair;
let otherPair: Pair;
const LIST = "ListPolarClawDevicePairs";

beforeAll(async () => {
  at = await newApplication();
  pair = await pairOf(at);
  otherPair = await pairOf(await newApplication());
});

afterEach(() => {
  vi.useRealTimers();
});

/** The key whose secret stands for that of an id that belongs to no key. */
const NO_KEY = { id: 0, tokenVersion: 0 };
const good = { status: 200, code: 200 };
const inQuery = (): Unsigned => ({ action: LIST, query: { ApplicationId: at.application } });
const inForm = (): Unsigned => ({ action: LIST, form: { ApplicationId: at.application } });

describe("a signed call is accepted with", () => {
  test.each([
    ["ACS3, in the query", () => signAcs3(pair, inQuery())],
    ["ACS3, in the body", () => signAcs3(pair, inForm())],
    [
      "ACS3, in a body that is said to be JSON",
      () => signAcs3(pair, { ...inForm(), headers: { "content-type": "application/json" } }),
    ],
    ["ACS3, GET", () => signAcs3(pair, { ...inQuery(), method: "GET" })],
    ["HMAC-SHA1, in the query", () => signV1(pair, inQuery())],
    ["HMAC-SHA1, in the body", () => signV1(pair, inForm())],
    ["HMAC-SHA1, GET", () => signV1(pair, { ...inQuery(), method: "GET" })],
  ])("%s", async (_, sign) => {
    expect(await send(sign())).toEqual(good);
  });

  test("any set of parameters, with any Unicode, in the query and in the body, in both signatures", async () => {
    // Of all Unicode, and often the characters that only one side encodes.
    const special = fc.constantFrom(..."*!'()~ +%&=/?#;:@,-_.\"\\");
    const unit = fc.oneof(fc.string({ unit: "binary", minLength: 1, maxLength: 1 }), special);
    const text = fc.string({ unit, maxLength: 12 }).map((raw) => raw.toWellFormed());
    const name = text.map((raw) => `p${raw}`);
    const parameters = fc.dictionary(name, text, { maxKeys: 6, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(parameters, parameters, fc.boolean(), async (query, form, v1) => {
        const disjoint = Object.fromEntries(
          Object.entries(form).filter(([key]) => !(key in query)),
        );
        const unsigned = {
          action: LIST,
          query: { ...query, ApplicationId: at.application },
          form: disjoint,
        };
        expect(await send((v1 ? signV1 : signAcs3)(pair, unsigned))).toEqual(good);
      }),
      { numRuns: 60 },
    );
  });
});

test.each([
  ["ACS3", signAcs3],
  ["HMAC-SHA1", signV1],
])(
  "a call signed with %s is told the server's time and the difference when its clock is wrong",
  async (_, sign) => {
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    vi.useFakeTimers({ toFake: ["Date"], now });
    for (const [off, said] of [
      [-3_600_000, "3600 seconds behind"],
      [960_000, "960 seconds ahead of"],
    ] as const) {
      const answer = await answerTo(sign(pair, { ...inQuery(), date: timestamp(now + off) }));
      expect(answer.body.Message).toContain(
        `${said} the server's, which is ${new Date(now).toISOString()}`,
      );
    }
  },
);

describe("a call with a wrong access key id or secret", () => {
  test.each([
    ["ACS3", signAcs3],
    ["HMAC-SHA1", signV1],
  ])("gets the same refusal by %s for an unknown id and for a wrong secret", async (_, sign) => {
    const said = [];
    for (const tried of [
      { ...pair, secret: "guessed" },
      { id: "DRBAK00000999999", secret: pair.secret },
      { id: "DRBAK00000000000", secret: deriveAccessKey(env.DRAWBRIDGE_SECRET, NO_KEY).secret },
      { id: "LTAI1", secret: pair.secret },
    ]) {
      const { path, headers, body, method } = sign(tried, inQuery());
      const sent = Object.fromEntries(headers.filter(([name]) => name !== "host"));
      const answer = await call(method, path, {
        headers: sent,
        ip: newAddress(),
        ...(body === "" ? {} : { body }),
      });
      const { RequestId: _id, ...rest } = answer.body;
      said.push({ status: answer.status, ...rest });
    }
    expect(said[0]).toMatchObject({ status: 403, Code: "SignatureDoesNotMatch" });
    for (const one of said) expect(one).toEqual(said[0]);
  });
});

describe("a header that names an organisation or makes a call repeatable", () => {
  const incomplete = { status: 400, code: "IncompleteSignature" };
  const headers = (name: string) => ({
    [name]: name === "x-organisation-id" ? String(at.id) : crypto.randomUUID(),
  });

  test.each(["x-organisation-id", "idempotency-key"])(
    "is accepted where it is signed: %s",
    async (name) => {
      expect(await send(signAcs3(pair, { ...inQuery(), headers: headers(name) }))).toEqual(good);
    },
  );

  test.each(["x-organisation-id", "idempotency-key"])(
    "is refused where it is not signed, in either signature: %s",
    async (name) => {
      const [[, value = ""] = []] = Object.entries(headers(name));
      expect(await send(withHeader(signAcs3(pair, inQuery()), name, value))).toEqual(incomplete);
      expect(await send(withHeader(signV1(pair, inQuery()), name, value))).toEqual(incomplete);
    },
  );
});

describe("the nonce of a signature", () => {
  test.each([
    ["ACS3", signAcs3],
    ["HMAC-SHA1", signV1],
  ])("by %s is accepted once for each access key within 30 minutes", async (_, sign) => {
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const nonce = crypto.randomUUID();
    const used = { status: 400, code: "SignatureNonceUsed" };
    const first = sign(pair, { ...inQuery(), nonce });
    expect(await send(first)).toEqual(good);
    expect(await send(first)).toEqual(used);
    vi.setSystemTime(now + 1_799_999);
    expect(await send(sign(pair, { ...inForm(), nonce }))).toEqual(used);
    const other = { action: LIST, query: { ApplicationId: "pa-other" }, nonce };
    expect((await send(sign(otherPair, other))).code).toBe("Application.NotFound");
    vi.setSystemTime(now + 1_800_000);
    expect(await send(sign(pair, { ...inQuery(), nonce }))).toEqual(good);
  });

  test("lets in only one of many identical calls at once", async () => {
    const signed = signAcs3(pair, inQuery());
    const answers = await Promise.all(Array.from({ length: 8 }, () => send(signed)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ code }) => code === "SignatureNonceUsed")).toHaveLength(7);
  });

  test("is stored only after the signature was found valid", async () => {
    const nonce = crypto.randomUUID();
    const forged = signAcs3({ ...pair, secret: "guessed" }, { ...inQuery(), nonce });
    expect((await send(forged)).code).toBe("SignatureDoesNotMatch");
    expect(await send(signAcs3(pair, { ...inQuery(), nonce }))).toEqual(good);
  });
});

describe("an access key is refused like a token", () => {
  test("when its key is blocked, has no permission, or is used from another address", async () => {
    const own = await newApplication();
    const mine = await pairOf(own);
    const list = { action: LIST, query: { ApplicationId: own.application } };
    const set = async (column: string, value: unknown) => {
      await env.DB.prepare(
        `update api_keys set ${column} = ? where id = (select key_id from organisation_keys where organisation_id = ?)`,
      )
        .bind(value, own.id)
        .run();
      // A key stays in memory for ten seconds.
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11_000 });
    };
    expect(await send(signAcs3(mine, list))).toEqual(good);
    await set("ip_allowlist", '["192.0.2.0/24"]');
    expect(await send(signAcs3(mine, list))).toEqual({ status: 403, code: "Forbidden.RAM" });
    await set("ip_allowlist", "[]");
    await set("permissions", '["devices:approve"]');
    expect(await send(signV1(mine, list))).toEqual({ status: 403, code: "Forbidden.RAM" });
    await set("permissions", '["*"]');
    await set("token_version", 2);
    expect((await send(signAcs3(mine, list))).code).toBe("SignatureDoesNotMatch");
    await set("token_version", 1);
    await set("blocked", 1);
    expect((await send(signAcs3(mine, list))).code).toBe("InvalidAccessKeyId.NotFound");
  });

  test("when its address sends too many wrong signatures", async () => {
    const forged = signAcs3({ ...pair, secret: "guessed" }, inQuery());
    const ip = newAddress();
    let last = 0;
    for (let i = 0; i < 301; i++) {
      const headers = Object.fromEntries(forged.headers.filter(([name]) => name !== "host"));
      last = (await call("POST", forged.path, { headers, ip })).status;
    }
    expect(last).toBe(429);
  });
});
