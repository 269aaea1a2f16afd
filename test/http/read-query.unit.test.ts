/** How a query becomes what a schema asks for: which parameters may be repeated. */
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { readQuery } from "../../src/http/body";
import type { Call } from "../../src/http/request-context";

const state = z.enum(["pending", "active"], "must be pending or active");

const schema = z
  .strictObject({
    limit: z.string().default("10"),
    state: z.array(state).default([]),
    tag: z
      .array(z.string())
      .max(2, "must have at most 2 entries")
      .transform((tags) => tags.join("+"))
      .nullish(),
  })
  .transform((query) => ({ ...query, isRead: true }));

function read(query: string) {
  return readQuery({ req: { url: `https://example.com/list${query}` } } as Call, schema);
}

/** What a refused query answers. */
function refusal(query: string): unknown {
  try {
    read(query);
  } catch (error) {
    return error;
  }
  throw new Error("it was accepted");
}

describe("a query", () => {
  test("gives an array field all values of a repeated parameter, in their order", () => {
    expect(read("?state=pending&limit=5&state=active")).toMatchObject({
      limit: "5",
      state: ["pending", "active"],
    });
  });

  test("gives an array field an array of one where the parameter stands once", () => {
    expect(read("?state=active").state).toEqual(["active"]);
  });

  test("leaves an absent array field to its default", () => {
    expect(read("")).toEqual({ limit: "10", state: [], isRead: true });
  });

  test("finds an array field that is optional, bounded and transformed", () => {
    expect(read("?tag=a&tag=b").tag).toBe("a+b");
    expect(refusal("?tag=a&tag=b&tag=c")).toMatchObject({
      refusal: {
        status: 400,
        code: "invalid-parameter",
        message: "tag must have at most 2 entries.",
      },
    });
  });

  test("gives any other field the last value of a repeated parameter", () => {
    expect(read("?limit=1&limit=2").limit).toBe("2");
  });

  test("names the entry of an array field that is wrong", () => {
    expect(refusal("?state=pending&state=gone")).toMatchObject({
      refusal: { message: "state.1 must be pending or active." },
    });
  });

  test("refuses a parameter that the schema does not know, repeated or not", () => {
    for (const query of ["?other=1", "?other=1&other=2"]) {
      expect(refusal(query)).toMatchObject({ refusal: { code: "invalid-parameter" } });
    }
  });
});
