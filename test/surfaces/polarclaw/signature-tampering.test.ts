/**
 * A call that is changed after it was signed is refused, with a code for each way of changing it.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import {
  changed,
  escapeAll,
  type Pair,
  pairOf,
  type SignedCall,
  send,
  signAcs3,
  signV1,
  timestamp,
  type Unsigned,
  withHeader,
} from "../../support/alibaba";
import { newApplication, type TestApplication } from "../../support/devices";

let at: TestApplication;
let pair: Pair;
let otherPair: Pair;
const LIST = "ListPolarClawDevicePairs";

beforeAll(async () => {
  at = await newApplication();
  pair = await pairOf(at);
  otherPair = await pairOf(await newApplication());
});

const inQuery = (): Unsigned => ({ action: LIST, query: { ApplicationId: at.application } });
const inForm = (): Unsigned => ({ action: LIST, form: { ApplicationId: at.application } });

describe("a signed call is refused", () => {
  test("with any single changed byte of a parameter, of a signed header or of the signature", async () => {
    const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 });
    const where = fc.constantFrom("query", "form", "header", "signature");
    await fc.assert(
      fc.asyncProperty(value, where, fc.nat(), fc.boolean(), async (raw, part, at_, v1) => {
        const text = raw.toWellFormed();
        const bytes = new TextEncoder().encode(text);
        const altered = bytes.with(at_ % bytes.length, (bytes[at_ % bytes.length] ?? 0) ^ 1);
        const other = new TextDecoder().decode(altered);
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
          tampered = withHeader(signed, "x-acs-extra", `a${escapeAll(other)}b`);
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
    ...['"', "(", "[x]", "", "ä"].map(
      (name): Case => [
        `a signed header that is named ${JSON.stringify(name)}, which no header can be`,
        () => changed(signAcs3(pair, inQuery()), "SignedHeaders=", `SignedHeaders=${name};`),
        bad("IncompleteSignature"),
      ],
    ),
    ["the body", () => changed(signAcs3(pair, inForm()), /pa-\w+/, "pa-other"), forbidden],
    ["the query", () => changed(signAcs3(pair, inQuery()), /pa-\w+/, "pa-other"), forbidden],
    [
      "a parameter more",
      () => ({ ...signAcs3(pair, inForm()), path: `/?ApplicationId=${at.application}` }),
      forbidden,
    ],
    [
      "the action",
      () => withHeader(signAcs3(pair, inQuery()), "x-acs-action", "RemovePolarClawDevicePair"),
      forbidden,
    ],
    ["the method", () => ({ ...signAcs3(pair, inQuery()), method: "GET" }), forbidden],
    ["the host", () => withHeader(signAcs3(pair, inQuery()), "host", "localhost:9999"), forbidden],
    [
      "an x-acs- header that is not signed",
      () => withHeader(signAcs3(pair, inQuery()), "x-acs-extra", "1"),
      bad("IncompleteSignature"),
    ],
    [
      "a signed header that is missing",
      () =>
        withHeader(
          signAcs3(pair, { ...inQuery(), headers: { "x-acs-extra": "1" } }),
          "x-acs-extra",
          null,
        ),
      bad("IncompleteSignature"),
    ],
    [
      "host not among the signed",
      () => changed(signAcs3(pair, inQuery()), "SignedHeaders=host;", "SignedHeaders="),
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
    [
      "another key's id",
      () => changed(signAcs3(pair, inQuery()), pair.id, otherPair.id),
      forbidden,
    ],
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
        withHeader(
          changed(signAcs3(pair, inQuery()), ";x-acs-signature-nonce", ""),
          "x-acs-signature-nonce",
          null,
        ),
      bad("MissingParameter"),
    ],
    [
      "no signature at all",
      () => changed(signAcs3(pair, inQuery()), /,Signature=\w+/, ""),
      bad("IncompleteSignature"),
    ],
    [
      "another algorithm",
      () => changed(signAcs3(pair, inQuery()), "ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"),
      bad("InvalidParameter"),
    ],
  ];
  test.each(acs3)("by ACS3: %s", async (_, tampered, refusal) => {
    expect(await send(tampered())).toEqual(refusal);
  });

  const v1: Case[] = [
    ["the body", () => changed(signV1(pair, inForm()), /pa-\w+/, "pa-other"), forbidden],
    ["the query", () => changed(signV1(pair, inQuery()), /pa-\w+/, "pa-other"), forbidden],
    ["a parameter more", () => changed(signV1(pair, inQuery()), "/?", "/?DeviceId=x&"), forbidden],
    [
      "the action",
      () => changed(signV1(pair, inQuery()), LIST, "RemovePolarClawDevicePair"),
      forbidden,
    ],
    [
      "the action by a header that is not signed",
      () =>
        changed(withHeader(signV1(pair, inQuery()), "x-acs-action", LIST), `Action=${LIST}&`, ""),
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
      () => changed(signV1(pair, inQuery()), "/?", "/?ApplicationId=pa-other&"),
      bad("InvalidParameter"),
    ],
    [
      "another algorithm",
      () => changed(signV1(pair, inQuery()), "HMAC-SHA1", "HMAC-SHA256"),
      bad("InvalidParameter"),
    ],
    [
      "no signature",
      () => changed(signV1(pair, inQuery()), /&Signature=[^&]+/, ""),
      bad("MissingParameter"),
    ],
  ];
  test.each(v1)("by HMAC-SHA1: %s", async (_, tampered, refusal) => {
    expect(await send(tampered())).toEqual(refusal);
  });
});

/** Changes one character of the signature for another one of its alphabet. */
function flipSignature(signed: SignedCall, at_: number): SignedCall {
  const swap = (text: string, index: number) => {
    const old = text.charAt(index);
    return `${text.slice(0, index)}${old === "a" ? "b" : "a"}${text.slice(index + 1)}`;
  };
  const inHeader = /Signature=([0-9a-f]{64})$/.exec(signed.headers.at(-1)?.[1] ?? "")?.[1];
  if (inHeader) return changed(signed, inHeader, swap(inHeader, at_ % 64));
  const inPath = /Signature=([^&]+)$/.exec(signed.path)?.[1] ?? "";
  const text = decodeURIComponent(inPath);
  return changed(signed, inPath, encodeURIComponent(swap(text, at_ % 27)));
}
