/**
 * The signatures of Alibaba's SDKs: whatever is signed is accepted, and whatever is changed afterwards is
 * refused, each way of tampering with its code.
 */
import { env } from "cloudflare:workers";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { accessKey } from "../../../src/keys/access-key";
import {
  answerTo,
  escapeAll,
  type Pair,
  pairOf,
  type SignedCall,
  send,
  signAcs3,
  signV1,
  timestamp,
  type Unsigned,
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

/** What an id of no key is checked with. */
const NO_KEY = { id: 0, tokenVersion: 0 };
const good = { status: 200, code: 200 };
const inQuery = (): Unsigned => ({ action: LIST, query: { ApplicationId: at.application } });
const inForm = (): Unsigned => ({ action: LIST, form: { ApplicationId: at.application } });

function change(signed: SignedCall, from: string | RegExp, to: string): SignedCall {
  const headers = signed.headers.map(([n, v]): [string, string] => [n, v.replace(from, to)]);
  const changed = { ...signed, path: signed.path.replace(from, to), headers };
  const body = signed.body.replace(from, to);
  expect([changed.path, headers, body]).not.toEqual([signed.path, signed.headers, signed.body]);
  return { ...changed, body };
}

function header(signed: SignedCall, name: string, value: string | null): SignedCall {
  const others = signed.headers.filter(([each]) => each !== name);
  return { ...signed, headers: value === null ? others : [...others, [name, value]] };
}

describe("a signed call is accepted with", () => {
  test.each([
    ["ACS3, in the query", () => signAcs3(pair, inQuery())],
    ["ACS3, in the body", () => signAcs3(pair, inForm())],
    ["ACS3, GET", () => signAcs3(pair, { ...inQuery(), method: "GET" })],
    ["HMAC-SHA1, in the query", () => signV1(pair, inQuery())],
    ["HMAC-SHA1, in the body", () => signV1(pair, inForm())],
    ["HMAC-SHA1, GET", () => signV1(pair, { ...inQuery(), method: "GET" })],
  ])("%s", async (_, sign) => {
    expect(await send(sign())).toEqual(good);
  });

  test("any set of parameters, with any Unicode, in the query and in the body, in both signatures", async () => {
    // Of all Unicode, and often of what one side escapes and another does not.
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

describe("a signed call is refused", () => {
  test("with any single changed byte of a parameter, of a signed header or of the signature", async () => {
    const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 });
    const where = fc.constantFrom("query", "form", "header", "signature");
    await fc.assert(
      fc.asyncProperty(value, where, fc.nat(), fc.boolean(), async (raw, part, at_, v1) => {
        const text = raw.toWellFormed();
        const bytes = new TextEncoder().encode(text);
        const changed = bytes.with(at_ % bytes.length, (bytes[at_ % bytes.length] ?? 0) ^ 1);
        const other = new TextDecoder().decode(changed);
        const sign = v1 ? signV1 : signAcs3;
        const id = at.application;
        const unsigned = {
          action: LIST,
          query: { ApplicationId: id, q: part === "query" ? text : "" },
          form: { f: part === "form" ? text : "f" },
          ...(v1 ? {} : { headers: { "x-acs-extra": `a${escapeAll(text)}b` } }),
        };
        const signed = sign(pair, unsigned);
        const from = encodeURIComponent(text);
        const to = encodeURIComponent(other);
        let tampered: SignedCall;
        if (part === "query" || (part === "header" && v1)) {
          if (part === "header") return;
          tampered = { ...signed, path: signed.path.replace(`q=${from}`, `q=${to}`) };
        } else if (part === "form") {
          tampered = { ...signed, body: signed.body.replace(`f=${from}`, `f=${to}`) };
        } else if (part === "header") {
          tampered = header(signed, "x-acs-extra", `a${escapeAll(other)}b`);
        } else {
          tampered = flipSignature(signed, at_);
        }
        expect(tampered).not.toEqual(signed);
        const answer = await send(tampered);
        expect(answer).toEqual({ status: 403, code: "SignatureDoesNotMatch" });
      }),
      { numRuns: 80 },
    );
  });

  const forbidden = { status: 403, code: "SignatureDoesNotMatch" };
  const bad = (code: string) => ({ status: 400, code });
  type Case = [string, () => SignedCall, { status: number; code: string }];

  const acs3: Case[] = [
    ["the body", () => change(signAcs3(pair, inForm()), /pa-\w+/, "pa-other"), forbidden],
    ["the query", () => change(signAcs3(pair, inQuery()), /pa-\w+/, "pa-other"), forbidden],
    [
      "a parameter more",
      () => ({ ...signAcs3(pair, inForm()), path: `/?ApplicationId=${at.application}` }),
      forbidden,
    ],
    [
      "the action",
      () => header(signAcs3(pair, inQuery()), "x-acs-action", "RemovePolarClawDevicePair"),
      forbidden,
    ],
    ["the method", () => ({ ...signAcs3(pair, inQuery()), method: "GET" }), forbidden],
    ["the host", () => header(signAcs3(pair, inQuery()), "host", "localhost:9999"), forbidden],
    [
      "an x-acs- header that is not signed",
      () => header(signAcs3(pair, inQuery()), "x-acs-extra", "1"),
      bad("IncompleteSignature"),
    ],
    [
      "a signed header that is missing",
      () =>
        header(
          signAcs3(pair, { ...inQuery(), headers: { "x-acs-extra": "1" } }),
          "x-acs-extra",
          null,
        ),
      bad("IncompleteSignature"),
    ],
    [
      "host not among the signed",
      () => change(signAcs3(pair, inQuery()), "SignedHeaders=host;", "SignedHeaders="),
      bad("IncompleteSignature"),
    ],
    [
      "a hash of another body, which is signed as well",
      () => signAcs3(pair, { ...inForm(), headers: { "x-acs-content-sha256": "0".repeat(64) } }),
      forbidden,
    ],
    [
      "a date 16 minutes ago",
      () => signAcs3(pair, { ...inQuery(), date: timestamp(Date.now() - 960_000) }),
      bad("InvalidTimeStamp.Expired"),
    ],
    [
      "a date in 16 minutes",
      () => signAcs3(pair, { ...inQuery(), date: timestamp(Date.now() + 960_000) }),
      bad("InvalidTimeStamp.Expired"),
    ],
    [
      "a date of another form",
      () => signAcs3(pair, { ...inQuery(), date: new Date().toUTCString() }),
      bad("InvalidTimeStamp.Format"),
    ],
    [
      "another key's secret",
      () => signAcs3({ ...pair, secret: otherPair.secret }, inQuery()),
      forbidden,
    ],
    ["another key's id", () => change(signAcs3(pair, inQuery()), pair.id, otherPair.id), forbidden],
    ["an id of no key", () => signAcs3({ ...pair, id: "DRBAK00000999999" }, inQuery()), forbidden],
    ["an id of another form", () => signAcs3({ ...pair, id: "LTAI1" }, inQuery()), forbidden],
    [
      "a duplicate header",
      () => {
        const signed = signAcs3(pair, { ...inQuery(), headers: { "x-acs-extra": "1" } });
        return { ...signed, headers: [...signed.headers, ["x-acs-extra", "1"]] };
      },
      forbidden,
    ],
    [
      "a duplicate date",
      () => {
        const signed = signAcs3(pair, inQuery());
        return { ...signed, headers: [...signed.headers, ["x-acs-date", timestamp()]] };
      },
      bad("InvalidTimeStamp.Format"),
    ],
    [
      "a duplicate signature",
      () => {
        const signed = signAcs3(pair, inQuery());
        return { ...signed, headers: [...signed.headers, signed.headers.at(-1) ?? ["", ""]] };
      },
      bad("IncompleteSignature"),
    ],
    [
      "no nonce",
      () =>
        header(
          change(signAcs3(pair, inQuery()), ";x-acs-signature-nonce", ""),
          "x-acs-signature-nonce",
          null,
        ),
      bad("MissingParameter"),
    ],
    [
      "no signature at all",
      () => change(signAcs3(pair, inQuery()), /,Signature=\w+/, ""),
      bad("IncompleteSignature"),
    ],
    [
      "another algorithm",
      () => change(signAcs3(pair, inQuery()), "ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"),
      bad("InvalidParameter"),
    ],
  ];
  test.each(acs3)("by ACS3: %s", async (_, tampered, refusal) => {
    expect(await send(tampered())).toEqual(refusal);
  });

  const v1: Case[] = [
    ["the body", () => change(signV1(pair, inForm()), /pa-\w+/, "pa-other"), forbidden],
    ["the query", () => change(signV1(pair, inQuery()), /pa-\w+/, "pa-other"), forbidden],
    ["a parameter more", () => change(signV1(pair, inQuery()), "/?", "/?DeviceId=x&"), forbidden],
    [
      "the action",
      () => change(signV1(pair, inQuery()), LIST, "RemovePolarClawDevicePair"),
      forbidden,
    ],
    [
      "the action by a header that is not signed",
      () => change(header(signV1(pair, inQuery()), "x-acs-action", LIST), `Action=${LIST}&`, ""),
      bad("MissingParameter"),
    ],
    ["the method", () => ({ ...signV1(pair, inQuery()), method: "GET" }), forbidden],
    [
      "a time 16 minutes ago",
      () => signV1(pair, { ...inQuery(), date: timestamp(Date.now() - 960_000) }),
      bad("InvalidTimeStamp.Expired"),
    ],
    [
      "a time of another form",
      () => signV1(pair, { ...inQuery(), date: "yesterday" }),
      bad("InvalidTimeStamp.Format"),
    ],
    [
      "another key's secret",
      () => signV1({ ...pair, secret: otherPair.secret }, inQuery()),
      forbidden,
    ],
    ["an id of no key", () => signV1({ ...pair, id: "DRBAK00000999999" }, inQuery()), forbidden],
    [
      "a duplicate parameter",
      () => change(signV1(pair, inQuery()), "/?", "/?ApplicationId=pa-other&"),
      bad("InvalidParameter"),
    ],
    [
      "another algorithm",
      () => change(signV1(pair, inQuery()), "HMAC-SHA1", "HMAC-SHA256"),
      bad("InvalidParameter"),
    ],
    [
      "no signature",
      () => change(signV1(pair, inQuery()), /&Signature=[^&]+/, ""),
      bad("MissingParameter"),
    ],
  ];
  test.each(v1)("by HMAC-SHA1: %s", async (_, tampered, refusal) => {
    expect(await send(tampered())).toEqual(refusal);
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
      { id: "DRBAK00000000000", secret: accessKey(env.DRAWBRIDGE_SECRET, NO_KEY).secret },
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
      expect(await send(header(signAcs3(pair, inQuery()), name, value))).toEqual(incomplete);
      expect(await send(header(signV1(pair, inQuery()), name, value))).toEqual(incomplete);
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
      // Keys are held for ten seconds.
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

/** Changes one character of the signature for another that is as well-formed. */
function flipSignature(signed: SignedCall, at_: number): SignedCall {
  const swap = (text: string, index: number) => {
    const old = text.charAt(index);
    return `${text.slice(0, index)}${old === "a" ? "b" : "a"}${text.slice(index + 1)}`;
  };
  const inHeader = /Signature=([0-9a-f]{64})$/.exec(signed.headers.at(-1)?.[1] ?? "")?.[1];
  if (inHeader) return change(signed, inHeader, swap(inHeader, at_ % 64));
  const inPath = /Signature=([^&]+)$/.exec(signed.path)?.[1] ?? "";
  const text = decodeURIComponent(inPath);
  return change(signed, inPath, encodeURIComponent(swap(text, at_ % 27)));
}
