/** How a body becomes text: what is UTF-8 and what is not, whichever of the two decoders reads it. */
import { beforeAll, describe, expect, test } from "vitest";
import { MAX_BODY_BYTES } from "../../src/http/body";
import { call, newOrganisation } from "../support/client";

let key = "";

beforeAll(async () => {
  key = (await newOrganisation()).key;
});

/** Sends `{"name":"…"}` with these bytes as the name. */
function sendName(name: readonly number[], headers: Record<string, string>, start: number[] = []) {
  const text = (part: string) => [...new TextEncoder().encode(part)];
  const body = new Uint8Array([...start, ...text('{"name":"'), ...name, ...text('"}')]);
  return call("POST", "/v1/applications", { key, body, headers });
}

const REPLACEMENT = [0xef, 0xbf, 0xbd];
const SMILE = [0xf0, 0x9f, 0x98, 0x80];
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

describe.each([
  ["of no said type, which TextDecoder reads", {}],
  ["of JSON, which the platform's decoder reads", { "Content-Type": "application/json" }],
  [
    "of JSON with a charset, which the platform's decoder reads",
    { "Content-Type": "application/json; charset=utf-8" },
  ],
])("a body %s", (_, headers) => {
  test.each([
    ["ASCII", [0x61, 0x62], "ab"],
    ["characters of two to four bytes", [0xc3, 0xa9, 0xe2, 0x82, 0xac, ...SMILE], "é€😀"],
    ["U+FFFD itself", [0x61, ...REPLACEMENT, ...REPLACEMENT], "a\ufffd\ufffd"],
    ["U+FFFD beside other characters", [...SMILE, ...REPLACEMENT], "😀\ufffd"],
    ["U+FFFD as an escape", [0x5c, 0x75, 0x66, 0x66, 0x66, 0x64], "\ufffd"],
  ])("is taken with %s", async (_, bytes, name) => {
    const answer = await sendName(bytes, headers);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body.name).toBe(name);
  });

  test("is taken with a byte order mark before it, also with U+FFFD in it", async () => {
    for (const name of [[0x61], REPLACEMENT]) {
      const answer = await sendName(name, headers, BYTE_ORDER_MARK);
      expect(answer.status, answer.text).toBe(201);
    }
  });

  test.each([
    ["one byte of Latin-1", [0xe9]],
    ["a byte that continues nothing", [0x80]],
    ["a character that lacks its last byte of two", [0xc3]],
    ["a character that lacks its last byte of three", [0xe2, 0x82]],
    ["a character that lacks two bytes of four", [0xf0, 0x9f]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a long form of a slash", [0xc0, 0xaf]],
    ["Latin-1 beside U+FFFD", [0xe9, ...REPLACEMENT]],
    ["two characters that lack bytes", [0xe2, 0x82, 0xf0, 0x9f, 0x98]],
  ])("is 400 with %s", async (_, bytes) => {
    const answer = await sendName(bytes, headers);
    expect(answer.status, answer.text).toBe(400);
    expect(answer.body).toMatchObject({
      type: "urn:drawbridge:problem:invalid-body",
      detail: "The body is not UTF-8.",
    });
  });

  test("is 413 when it is too large, and 415 when it is compressed", async () => {
    const large = await sendName(new Array(MAX_BODY_BYTES).fill(0x61), headers);
    expect(large.status).toBe(413);
    const compressed = await sendName([0x61], { ...headers, "Content-Encoding": "gzip" });
    expect(compressed.status).toBe(415);
  });
});

test("a character of four bytes that lacks its last is U+FFFD in JSON, and 400 otherwise", async () => {
  const json = { "Content-Type": "application/json" };
  const inJson = await sendName(SMILE.slice(0, 3), json);
  expect(inJson.body.name).toBe("\ufffd");
  expect((await sendName(SMILE.slice(0, 3), {})).status).toBe(400);
});
