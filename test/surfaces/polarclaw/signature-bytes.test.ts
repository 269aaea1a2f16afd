/** Every byte of a signed call counts: the call is refused when any one is changed for another. */
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import {
  type Pair,
  pairOf,
  type SignedCall,
  send,
  signAcs3,
  signV1,
  type Unsigned,
} from "../../support/alibaba";
import { newApplication, type TestApplication } from "../../support/devices";

let at: TestApplication;
let pair: Pair;

beforeAll(async () => {
  at = await newApplication();
  pair = await pairOf(at);
});

/** A call with parameters in the query and in the body, and with one more header for ACS3. */
const unsigned = (): Unsigned => ({
  action: "ListPolarClawDevicePairs",
  query: { ApplicationId: at.application, q: "a b*+%ä漢🦞" },
  form: { f: "~(x)'!/=&" },
});
const byAcs3 = () => signAcs3(pair, { ...unsigned(), headers: { "x-acs-extra": "an extra one" } });
const byV1 = () => signV1(pair, unsigned());

/** The parameters of a query or a form: two spellings of the same parameters are the same call. */
const meaning = (text: string) => JSON.stringify([...new URL(`http://x/${text}`).searchParams]);

/** The parts of a call, as text; each can be put back changed. The connection sends the host. */
function partsOf(signed: SignedCall) {
  return [
    { name: "query", text: signed.path.slice(2) },
    { name: "body", text: signed.body },
    ...signed.headers.filter(([name]) => name !== "host").map(([name, text]) => ({ name, text })),
  ];
}

function withPart(signed: SignedCall, name: string, text: string): SignedCall {
  if (name === "query") return { ...signed, path: `/?${text}` };
  if (name === "body") return { ...signed, body: text };
  const headers = signed.headers.map(([n, v]): [string, string] => [n, n === name ? text : v]);
  return { ...signed, headers };
}

/** Any printable character; spaces at the ends of headers do not arrive. */
const printable = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));

test.each([
  ["ACS3", byAcs3],
  ["HMAC-SHA1", byV1],
])(
  "a call signed with %s is refused when any single byte of its query, body or header is changed",
  async (how, sign) => {
    expect((await send(sign())).status).toBe(200);
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), printable, async (part, place, character) => {
        const signed = sign();
        const parts = partsOf(signed);
        const { name, text } = parts[part % parts.length] ?? { name: "", text: "" };
        const index = place % text.length;
        const changed = `${text.slice(0, index)}${character}${text.slice(index + 1)}`;
        fc.pre(changed !== text);
        // ACS3 signs the bytes of the body. Queries, and forms under the older signature, are
        // signed by their parameters.
        const isBytes = name !== "query" && !(name === "body" && how === "HMAC-SHA1");
        fc.pre(isBytes || meaning(`?${changed}`) !== meaning(`?${text}`));
        // The older signature covers no header.
        fc.pre(how === "ACS3" || name === "query" || name === "body");
        const { status, code } = await send(withPart(signed, name, changed));
        expect([name, changed, code]).not.toEqual([name, changed, 200]);
        expect([name, changed, status >= 400 && status < 500]).toEqual([name, changed, true]);
      }),
      { numRuns: 200 },
    );
  },
);
