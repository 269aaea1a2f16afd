/** What the console tells a person about an error. */
import { describe, expect, it } from "vitest";
import { errorWords } from "../../console/src/error-words";

describe("the words of an error", () => {
  it("are those of the service, with the fields that are wrong", () => {
    const errors = [{ path: "ipAllowlist.0", message: "must be a CIDR" }];
    const body = { detail: "The body is wrong.", code: "invalid-body", errors };
    expect(errorWords(body, 400)).toEqual({
      message: "The body is wrong. ipAllowlist.0: must be a CIDR.",
      code: "invalid-body",
    });
  });

  it("name the status where the service gave none", () => {
    expect(errorWords(undefined, 502)).toEqual({
      message: "The service answered 502.",
      code: null,
    });
  });

  it.each([
    [
      "Too many calls from your address. Wait as long as Retry-After says.",
      "Too many calls from your address.",
    ],
    ["Ask for the same again, or wait as long as Retry-After says.", "Ask for the same again."],
    ["The database does not answer.", "The database does not answer."],
  ])("say how long to wait, and not in which header that stands: %s", (detail, words) => {
    expect(errorWords({ detail, code: "too-many" }, 429, "40").message).toBe(
      `${words} Try again in 40 s.`,
    );
  });
});
