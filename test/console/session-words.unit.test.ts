/** What the pages of sessions say in words. */
import type { RelaySession, RelaySessionUser } from "drawbridge-client";
import { describe, expect, test } from "vitest";
import { metadataInShort, usersWords } from "../../console/src/pages/sessions/session-words";
import { whyWords } from "../../console/src/pages/source-sessions/source-words";

describe("the users of a relay session", () => {
  const users = (...connected: (boolean | null)[]) =>
    usersWords({
      max_users: 16,
      session_users: connected.map((each) => ({ connected: each }) as RelaySessionUser),
    } as RelaySession);

  test.each([
    [users(true, false, true), "2 connected of 3, room for 16"],
    [users(), "0 connected of 0, room for 16"],
    // A session that did not say in time.
    [users(null, null), "2 authorised, room for 16"],
  ])("%s", (words, expected) => {
    expect(words).toBe(expected);
  });
});

describe("metadata on one line", () => {
  test.each([
    [null, null],
    [{}, null],
    [{ map: "harbour", mode: "duel" }, "map: harbour, mode: duel"],
    [{ a: "x".repeat(57) }, `a: ${"x".repeat(57)}`],
    [{ a: "x".repeat(58) }, `a: ${"x".repeat(56)}…`],
    // No character is cut in two.
    [{ a: "😀".repeat(60) }, `a: ${"😀".repeat(56)}…`],
  ])("%j", (metadata, expected) => {
    expect(metadataInShort(metadata as RelaySession["metadata"])).toBe(expected);
  });
});

describe("why a source session is over", () => {
  test.each([
    ["active", null],
    ["failed", "code-required"],
    ["failed", "code-invalid"],
    ["failed", "invalid-credentials"],
    ["failed", "source-locked"],
    ["failed", "service-unavailable"],
    ["failed", "verification-timeout"],
    ["expired", "service"],
    ["expired", "api"],
    ["expired", "organisation"],
    ["expired", "admin"],
  ])("%s %s", (state, error) => {
    const words = whyWords({ state, error });
    if (error === null) expect(words).toBeNull();
    else expect(words).toMatch(/ /);
  });

  test("is the code itself, where it is new", () => {
    expect(whyWords({ state: "failed", error: "something-new" })).toBe("something-new");
  });
});
