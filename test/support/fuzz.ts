/**
 * Fuzzing of HTTP routes: values, bodies, queries, paths and headers that no client should send, how
 * they are sent, and how every answer is judged.
 */
import fc from "fast-check";
import type { Answer } from "./client";

/** How often a file of tests sends generated values, and how it judges each answer. */
interface Fuzzing {
  runs: number;
  /** Throws when an answer is wrong. */
  judge: (answer: Answer) => void;
}

/** What one test wants besides. */
interface FuzzOptions<T> {
  /** How many times the file's runs; 1 if left out. */
  times?: number;
  /** Throws when a well-formed answer is wrong for this value. */
  check?: (answer: Answer, value: T) => void | Promise<void>;
}

/** A function that sends a request for each generated value, and judges every answer. */
export function newFuzz({ runs, judge }: Fuzzing) {
  return <T>(
    values: fc.Arbitrary<T>,
    send: (value: T) => Promise<Answer>,
    { times = 1, check }: FuzzOptions<T> = {},
  ): Promise<void> =>
    fc.assert(
      fc.asyncProperty(values, async (value) => {
        const answer = await send(value);
        judge(answer);
        await check?.(answer, value);
      }),
      { numRuns: runs * times },
    );
}

/** The methods of HTTP, and one that few servers know. */
export const anyMethod = fc.constantFrom(
  "GET",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "QUERY",
);

/** Single values at which parsers and schemas break. None is an address that could be called. */
const sharp = fc.constantFrom<unknown>(
  null,
  true,
  0,
  -0,
  -1,
  1.5,
  1e21,
  1e308,
  2 ** 31,
  2 ** 53,
  "",
  " ",
  "0",
  "null",
  "\u0000",
  "\ud800",
  "\u202e",
  "__proto__",
  "constructor",
  "'; drop table sessions; --",
  "%00",
  "../../etc/passwd",
  "javascript:alert(1)",
  "http://[",
  "https://10.0.0.1/",
  "1.1.1.1",
  "::ffff:1.2.3.4",
  "0123456789ab-S",
  [],
  {},
  [null],
  [[]],
  { __proto__: null },
  { toString: 1, constructor: 1 },
  Array.from({ length: 200 }, () => ({ ip: "1.1.1.1" })),
  "x".repeat(5_000),
);

const anyValue = fc.oneof(
  { weight: 3, arbitrary: sharp },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
);

/** Bodies in which each field is valid, broken or missing; some have strange fields as well. */
export function brokenBody(valid: Record<string, unknown>): fc.Arbitrary<string> {
  const fields = Object.fromEntries(
    Object.entries(valid).map(([name, value]) => [
      name,
      fc.oneof({ weight: 2, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: anyValue }),
    ]),
  );
  const known = fc.record(fields, { requiredKeys: [] });
  const strange = fc.dictionary(fc.string({ unit: "binary", maxLength: 12 }), anyValue, {
    maxKeys: 2,
  });
  return fc
    .tuple(known, strange, fc.boolean())
    .map(([body, more, withMore]) => JSON.stringify(withMore ? { ...more, ...body } : body));
}

/** Any text at all, mostly JSON of any shape. */
export const anyBody = fc.oneof(
  fc.json({ maxDepth: 5 }),
  fc.jsonValue().map((value) => `{"value":${JSON.stringify(value) ?? 1}}`),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.constantFrom(
    "{",
    '{"a":1,"a":2}',
    '{"__proto__":{"x":1}}',
    `${"[".repeat(20_000)}`,
    "\ufeff{}",
  ),
  fc
    .integer({ min: 1, max: 10_000 })
    .map((depth) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`),
);

/** A query without its question mark; escapes may be broken. */
export function anyQuery(...names: string[]): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...names) },
    { weight: 1, arbitrary: rawPart },
  );
  const value = fc.oneof(
    fc.integer().map(String),
    fc.double().map(String),
    fc.constantFrom("", "1", "0", "-1", "1e9", "٣", "1%00", "%", "%ff", "%F0%9F", "1&limit=0"),
    rawPart,
  );
  return fc
    .array(fc.tuple(name, value), { maxLength: 4 })
    .map((pairs) => pairs.map(([key, text]) => `${key}=${text}`).join("&"));
}

/** One segment of a path; escapes may be broken. */
export const rawPart: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("", ".", "..", "%2e%2e", "%2f", "%00", "%ff", "%", "%zz", "%E0%A4%A", ":", "*"),
  fc.constantFrom("0123456789ab-S", "0123456789ab-S%20", "0123456789AB-S", "1", "-1", "1e3"),
  fc.string({ unit: "grapheme", maxLength: 20 }).map(encodeLoosely),
);

/** Some segments of a path. */
export function anyPath(lengths: { minLength?: number; maxLength: number }): fc.Arbitrary<string> {
  return fc.array(rawPart, lengths).map((parts) => parts.join("/"));
}

/** A header's value: anything that HTTP lets through. */
export const headerValue = fc.oneof(
  fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  }),
  fc.constantFrom("", " ", "a\tb", "token", "token ", "Bearer  x", "x".repeat(4_000)),
);

/** Asserts that an answer is no fault of ours, and that a refusal has the format of its surface. */
export function expectOwnFormat(answer: Answer, surface: "relay" | "v1"): void {
  const problem = wrongWith(answer, surface);
  if (problem !== null) throw new Error(`${problem}: ${answer.status} ${answer.text}`);
}

function wrongWith({ status, headers, body, text }: Answer, surface: string): string | null {
  if (status >= 500) return "the fault was ours";
  if (!headers.get("X-Request-Id")) return "the answer has no request id";
  if (status < 400) return status === 204 || body !== undefined ? null : "the answer is no JSON";
  if (typeof body !== "object" || body === null) return "the refusal is no JSON object";
  if (surface === "relay") {
    const isMessage = typeof body.message === "string" && body.message !== "";
    const hasCode = typeof body.code === "string" && /^[a-z]+(-[a-z]+)*$/.test(body.code);
    const isWhole = isMessage && hasCode && Object.keys(body).length === 2;
    return isWhole ? null : "the refusal is not a message and a code";
  }
  if (headers.get("Content-Type") !== "application/problem+json")
    return "the refusal is no problem";
  const named = ["type", "title", "detail", "code"].every((name) => typeof body[name] === "string");
  if (!named || body.status !== status) return "the problem lacks a member";
  if (body.request_id !== headers.get("X-Request-Id")) return "the problem has another request id";
  return text.includes("\n    at ") ? "the problem shows a stack" : null;
}

/** Encodes only the characters that a URL parser would take for borders of its parts. */
function encodeLoosely(text: string): string {
  return text.toWellFormed().replaceAll(/[#?/\\\s]/g, encodeURIComponent);
}
