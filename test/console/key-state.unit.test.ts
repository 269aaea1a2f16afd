/** The state and the settings of an API key, as the console shows and changes them. */
import { describe, expect, it } from "vitest";
import { changesOf, draftOf, EMPTY_DRAFT } from "../../console/src/pages/keys/key-draft";
import { keyState } from "../../console/src/pages/keys/key-state";

const NOW = Date.parse("2026-11-26T12:00:00Z");

describe("the state of an API key", () => {
  it.each([
    [{ blocked: false, isValid: true, expiresAt: null }, "active"],
    [{ blocked: true, isValid: false, expiresAt: null }, "blocked"],
    [{ blocked: false, isValid: false, expiresAt: null }, "does not work"],
    [{ blocked: false, isValid: true, expiresAt: "2026-11-26T11:59:59Z" }, "ended"],
    [{ blocked: true, isValid: false, expiresAt: "2026-11-26T11:59:59Z" }, "ended"],
    [{ blocked: false, isValid: true, expiresAt: "2026-11-29T12:00:00Z" }, "ends in 3 d"],
    [{ blocked: false, isValid: true, expiresAt: "2027-11-29T12:00:00Z" }, "active"],
  ])("of %j is: %s", (key, words) => {
    expect(keyState(key, NOW).words).toBe(words);
  });
});

describe("the settings of an API key", () => {
  const key = {
    name: "Game server",
    emails: ["ops@example.com"],
    labels: ["eu west", "test"],
    ipAllowlist: ["192.0.2.0/24"],
    dnsName: null,
    expiresAt: "2026-12-01T10:30:00.000Z",
  };

  it("are not sent if nobody changed them", () => {
    expect(changesOf(draftOf(key), draftOf(key))).toEqual({});
  });

  it("are sent as they were typed: lists by line, times in UTC", () => {
    const typed = {
      ...EMPTY_DRAFT,
      name: " Game server 2 ",
      emails: "ops@example.com\nanna@example.com, bo@example.com",
      labels: "eu west\n\n  test ",
      ipAllowlist: "192.0.2.0/24 2001:db8::/32",
      dnsName: "game",
      expiresAt: draftOf(key).expiresAt,
    };
    expect(changesOf(EMPTY_DRAFT, typed)).toEqual({
      name: "Game server 2",
      emails: ["ops@example.com", "anna@example.com", "bo@example.com"],
      labels: ["eu west", "test"],
      ipAllowlist: ["192.0.2.0/24", "2001:db8::/32"],
      dnsName: "game",
      expiresAt: key.expiresAt,
    });
  });

  it("are taken away by what is emptied", () => {
    const emptied = { ...EMPTY_DRAFT, name: key.name };
    expect(changesOf(draftOf({ ...key, dnsName: "game" }), emptied)).toEqual({
      emails: [],
      labels: [],
      ipAllowlist: [],
      dnsName: null,
      expiresAt: null,
    });
  });
});
