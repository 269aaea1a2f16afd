/** Whether a key works, now and from an address: the rule alone. */
import { describe, expect, test } from "vitest";
import { type ApiKey, checkKey } from "../../src/keys/key";
import { hasPermission } from "../../src/keys/permissions";

const NOW = 1_790_000_000_000;

function keyWith(changes: Partial<ApiKey> = {}): ApiKey {
  return {
    id: 1,
    organisationIds: [1],
    permissions: ["*"],
    ipAllowlist: [],
    blocked: false,
    expiresAt: null,
    tokenValidUntil: null,
    ...changes,
  };
}

describe("a key", () => {
  test.each<[string, Partial<ApiKey>, ReturnType<typeof checkKey>]>([
    ["without any bound works", {}, null],
    ["that is blocked does not work", { blocked: true }, "blocked"],
    ["whose time is to come works", { expiresAt: NOW + 1 }, null],
    ["whose time is now does not work", { expiresAt: NOW }, "expired"],
    ["whose time is over does not work", { expiresAt: NOW - 1 }, "expired"],
    ["with an old token in its grace works", { tokenValidUntil: NOW + 1 }, null],
    ["with an old token after its grace is unknown", { tokenValidUntil: NOW }, "unknown"],
    ["of no organisation is unknown", { organisationIds: [] }, "unknown"],
    ["blocked and expired says that it is blocked", { blocked: true, expiresAt: NOW }, "blocked"],
  ])("%s", (_, changes, expected) => {
    expect(checkKey(keyWith(changes), "192.0.2.1", NOW)).toBe(expected);
  });
});

describe("the allowlist of a key", () => {
  test.each<[allowed: string[], ip: string, works: boolean]>([
    [[], "192.0.2.1", true],
    [["192.0.2.1/32"], "192.0.2.1", true],
    [["192.0.2.1/32"], "192.0.2.2", false],
    [["192.0.2.0/24"], "192.0.2.255", true],
    [["192.0.2.0/24"], "192.0.3.0", false],
    [["0.0.0.0/0"], "8.8.8.8", true],
    [["0.0.0.0/0"], "2001:db8::1", false],
    [["::/0"], "8.8.8.8", false],
    [["2001:db8::/32"], "2001:db8:ffff::1", true],
    [["2001:db8::/32"], "2001:db9::1", false],
    [["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", true],
    [["192.0.2.0/24"], "::ffff:192.0.2.9", true],
    [["192.0.2.0/24"], "::ffff:198.51.100.9", false],
    [["0.0.0.0/0", "::/0"], "nowhere", false],
    [["0.0.0.0/0", "::/0"], "", false],
  ])("of %j decides whether the key works from the address %s", (ipAllowlist, ip, works) => {
    const refusal = checkKey(keyWith({ ipAllowlist }), ip, NOW);
    expect(refusal).toBe(works ? null : "ip-refused");
  });
});

describe("the permissions of a key", () => {
  test.each<[held: string[], needed: string, enough: boolean]>([
    [["relays:write"], "relays:write", true],
    [["relays:read", "relays:write"], "relays:write", true],
    [["*"], "relays:write", true],
    [["*"], "anything of the owner's own", true],
    [[], "relays:read", false],
    [["relays:read"], "relays:write", false],
    [["relays:write"], "relays:read", false],
    [["relays:*"], "relays:read", false],
    [["relays"], "relays:read", false],
    [["RELAYS:READ"], "relays:read", false],
  ])("decide with %j whether the key may do what needs %s", (held, needed, enough) => {
    expect(hasPermission(held, needed)).toBe(enough);
  });
});
