/** JSON of bodies: what is refused for a field named `__proto__`, however it is written. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/http/body";
import { Refused } from "../../src/http/request-context";

/** The parser that looks at every field. */
function parseSlowly(text: string): unknown {
  let named = false;
  try {
    const value = JSON.parse(text, (key, field) => {
      if (key === "__proto__") named = true;
      return field;
    });
    return named ? "refused" : value;
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof Refused && error.refusal.status === 400) return "refused";
    throw error;
  }
}

/** Ways to write the name in JSON: each character as it is, or escaped. */
const spelt = fc
  .array(fc.boolean(), { minLength: 9, maxLength: 9 })
  .map((escaped) =>
    [..."__proto__"]
      .map((c, i) => (escaped[i] ? `\\u00${c.charCodeAt(0).toString(16)}` : c))
      .join(""),
  );
const name = fc.oneof(spelt, fc.constantFrom("a", "__proto", "proto__", "\\\\u", "\\/", "\\n"));
const text = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.string({ maxLength: 20 }),
  fc.tuple(name, fc.json({ maxDepth: 2 })).map(([key, value]) => `{"${key}":${value}}`),
  fc.tuple(name, name).map(([key, value]) => `[{"x":{"${key}":"${value}"}}]`),
);

describe("the JSON of a body", () => {
  test("is read as if every field were looked at", () => {
    fc.assert(
      fc.property(text, (json) => {
        expect(parse(json)).toEqual(parseSlowly(json));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each(['{"__proto__":1}', '{"\\u005f_proto__":1}', '[{"a":{"__pr\\u006Fto__":{}}}]'])(
    "is refused with a field of that name: %s",
    (json) => {
      expect(() => parseJson(json)).toThrow(Refused);
    },
  );

  test("is taken with that name as a value, or with a name that only looks like it", () => {
    expect(parseJson('{"a":"__proto__"}')).toEqual({ a: "__proto__" });
    expect(parseJson('{"\\\\u005f_proto__":1}')).toEqual({ "\\u005f_proto__": 1 });
  });
});
