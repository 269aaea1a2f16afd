/**
 * Which caller may change which key in which way: the whole rule, case by case, and in sequences of
 * any order.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_GRACES } from "../../src/keys/grace";
import type { KeyRecord } from "../../src/keys/key";
import { hasPermission, OPERATOR_SIGN_IN } from "../../src/keys/permissions";
import {
  checkKeyCreation,
  decideKeyChange,
  type Granter,
  type KeyChange,
  type KeySettings,
} from "../../src/keys/who-may-change";

const NOW = 1_790_000_000_000;
const HOUR = 3_600_000;
const SOON = NOW + HOUR;
const LATER = NOW + 2 * HOUR;

const settings: KeySettings = {
  name: "Key",
  organisationIds: [1, 2, 3],
  permissions: ["relays:read"],
  emails: ["ana@example.com"],
  labels: [],
  ipAllowlist: [],
  dnsName: "key",
  blocked: false,
  expiresAt: null,
};

function keyWith(more: Partial<KeyRecord> = {}): KeyRecord {
  return {
    ...settings,
    id: 7,
    version: 1,
    createdAt: 0,
    updatedAt: null,
    tokenShort: "drb_",
    tokenVersion: 1,
    tokenCreatedAt: 0,
    previousTokens: [],
    ...more,
  };
}

function granterWith(more: Partial<Granter> = {}): Granter {
  return {
    keyId: 1,
    organisationId: 1,
    organisationIds: [1, 2, 3],
    permissions: ["keys:write", "relays:read", OPERATOR_SIGN_IN],
    expiresAt: null,
    inGrace: false,
    tokenVersion: 1,
    ipAllowlist: [],
    ...more,
  };
}

/** `allowed`, or the code of the refusal. */
function answer(granter: Granter, key: KeyRecord, change: KeyChange): string {
  const decision = decideKeyChange(granter, key, change, NOW);
  return decision.ok ? "allowed" : decision.refusal.code;
}

/** Changes that give a key more use, or let somebody else use it. */
const WIDENING: [string, KeyChange][] = [
  ["refreshing it", { refresh: { graceSeconds: 0 } }],
  ["refreshing it with a grace", { refresh: { graceSeconds: 60 } }],
  ["adding a permission", { permissions: ["relays:read", "relays:write", "keys:write"] }],
  [
    "letting operators sign in as it",
    { permissions: ["relays:read", "relays:write", OPERATOR_SIGN_IN] },
  ],
  ["exchanging a permission", { permissions: ["relays:read", "keys:write"] }],
  ["unblocking it", { blocked: false }],
  ["a later end", { expiresAt: LATER }],
  ["no end", { expiresAt: null }],
  ["no allowlist", { ipAllowlist: [] }],
  ["a wider allowlist", { ipAllowlist: ["192.0.2.0/24", "198.51.100.1/32"] }],
  ["another allowlist", { ipAllowlist: ["203.0.113.0/24"] }],
  ["an address", { emails: ["ana@example.com", "mallory@example.com"] }],
  ["another address", { emails: ["mallory@example.com"] }],
  ["another dnsName", { dnsName: "mine" }],
  ["no dnsName, which frees the name", { dnsName: null }],
  ["another organisation", { organisationIds: [1, 2, 4] }],
  ["another first organisation", { organisationIds: [2, 1] }],
  ["its second organisation first", { organisationIds: [2] }],
  ["another order of the others", { organisationIds: [1, 3, 2] }],
];

/** Changes that leave a key with the same use or less. */
const NARROWING: [string, KeyChange][] = [
  ["nothing", {}],
  ["a name", { name: "Renamed" }],
  ["labels", { labels: ["a"] }],
  ["blocking it", { blocked: true }],
  ["fewer permissions", { permissions: ["relays:write"] }],
  ["no permissions", { permissions: [] }],
  ["another order of its permissions", { permissions: ["relays:write", "relays:read"] }],
  ["an earlier end", { expiresAt: SOON - 1 }],
  ["a narrower allowlist", { ipAllowlist: ["192.0.2.7/32"] }],
  ["no addresses", { emails: [] }],
  ["fewer organisations", { organisationIds: [1] }],
  ["its first and last organisation", { organisationIds: [1, 3] }],
];

const bound = { expiresAt: SOON, ipAllowlist: ["192.0.2.0/24"] };
const manager = granterWith({ organisationIds: [1, 2, 3, 4] });

describe("a key that holds a permission which the caller does not hold", () => {
  const permissions = ["relays:read", "relays:write"];
  test.each(WIDENING)("may not be changed by %s", (_, change) => {
    const key = keyWith({ ...bound, permissions, blocked: true });
    expect(answer(manager, key, change)).toBe("key-holds-more");
  });

  test.each(NARROWING)("may be changed by %s", (_, change) => {
    expect(answer(manager, keyWith({ ...bound, permissions }), change)).toBe("allowed");
  });

  test("may be given a list of permissions in place of all, and nothing besides all", () => {
    const all = keyWith({ permissions: ["*"] });
    expect(answer(manager, all, { permissions: ["relays:read"] })).toBe("allowed");
    expect(answer(manager, all, { permissions: ["*", "relays:read"] })).toBe("key-holds-more");
  });
});

describe("a key whose limits reach further than the caller's", () => {
  const granters: [string, Granter][] = [
    ["that has an end", granterWith({ organisationIds: [1, 2, 3, 4], expiresAt: SOON - HOUR / 2 })],
    [
      "that has an allowlist",
      granterWith({ organisationIds: [1, 2, 3, 4], ipAllowlist: ["192.0.2.0/28"] }),
    ],
  ];
  for (const [name, granter] of granters) {
    test.each(WIDENING)(`may not be changed by a caller ${name}: %s`, (_, change) => {
      const key = keyWith({ ...bound, blocked: true });
      expect(answer(granter, key, change)).toMatch(
        /^(?:permission-not-held|limit-not-held|key-holds-more)$/,
      );
    });
  }

  test.each<[string, string, Partial<Granter>, KeyChange]>([
    ["limit-not-held", "an end behind the granter's", { expiresAt: SOON }, { expiresAt: SOON + 1 }],
    ["allowed", "the granter's own end", { expiresAt: SOON }, { expiresAt: SOON }],
    ["allowed", "no change of its end", { expiresAt: SOON }, { name: "Renamed" }],
    ["allowed", "a block", { expiresAt: SOON }, { blocked: true }],
    [
      "limit-not-held",
      "addresses that are not the granter's",
      { ipAllowlist: ["192.0.2.0/24"] },
      { ipAllowlist: ["192.0.2.0/23"] },
    ],
    [
      "allowed",
      "some of the granter's addresses",
      { ipAllowlist: ["192.0.2.0/24"] },
      { ipAllowlist: ["192.0.2.128/25"] },
    ],
  ])("answers %s to %s", (expected, _, granter, change) => {
    expect(answer(granterWith(granter), keyWith(), change)).toBe(expected);
  });

  test("may be widened as long as it stays within the caller's limits", () => {
    const granter = granterWith({ expiresAt: LATER, ipAllowlist: ["192.0.2.0/24"] });
    const key = keyWith({ expiresAt: SOON, ipAllowlist: ["192.0.2.1/32"], blocked: true });
    const change = { expiresAt: LATER, ipAllowlist: ["192.0.2.0/24"], blocked: false };
    expect(answer(granter, key, { ...change, refresh: { graceSeconds: 60 } })).toBe("allowed");
  });
});

describe("a new key", () => {
  test.each<[string, Partial<KeySettings>, string | null]>([
    ["as far as its maker", { expiresAt: SOON, ipAllowlist: ["192.0.2.0/24"] }, null],
    ["less far", { expiresAt: NOW, ipAllowlist: ["192.0.2.1/32"] }, null],
    ["without an end", { ipAllowlist: ["192.0.2.0/24"] }, "limit-not-held"],
    ["longer", { expiresAt: SOON + 1, ipAllowlist: ["192.0.2.0/24"] }, "limit-not-held"],
    ["from anywhere", { expiresAt: SOON }, "limit-not-held"],
    ["from elsewhere", { expiresAt: SOON, ipAllowlist: ["203.0.113.1/32"] }, "limit-not-held"],
    ["with more", { permissions: ["relays:write"] }, "permission-not-held"],
    ["in another organisation", { organisationIds: [1, 9] }, "unknown-organisation"],
  ])("is judged by the limits of its maker when it reaches %s", (_, made, code) => {
    const granter = granterWith({ expiresAt: SOON, ipAllowlist: ["192.0.2.0/24"] });
    expect(checkKeyCreation(granter, { ...settings, ...made })?.code ?? null).toBe(code);
  });
});

describe("a key whose caller shows its replaced token", () => {
  test("may be blocked and narrowed by that caller, and not refreshed or widened", () => {
    const granter = granterWith({ keyId: 7, permissions: ["*"], expiresAt: SOON });
    const key = keyWith({ permissions: ["*"] });
    expect(answer(granter, key, { refresh: { graceSeconds: 60 } })).toBe("key-holds-more");
    expect(answer(granter, key, { emails: ["me@example.com"] })).toBe("key-holds-more");
    expect(answer(granter, key, { blocked: true, permissions: [] })).toBe("allowed");
  });
});

describe("a refresh", () => {
  const refreshed = (key: KeyRecord, graceSeconds: number, now: number) => {
    const decision = decideKeyChange(granterWith(), key, { refresh: { graceSeconds } }, now);
    return decision.ok ? decision.previousTokens : decision.refusal.code;
  };

  test("keeps every grace that was promised, drops those that are over, and adds its own", () => {
    const previousTokens = [
      { version: 1, until: NOW },
      { version: 2, until: NOW + 1 },
      { version: 3, until: NOW + HOUR },
    ];
    const key = keyWith({ tokenVersion: 4, previousTokens });
    expect(refreshed(key, 60, NOW)).toEqual([
      { version: 2, until: NOW + 1 },
      { version: 3, until: NOW + HOUR },
      { version: 4, until: NOW + 60_000 },
    ]);
    expect(refreshed(key, 0, NOW)).toEqual([]);
  });

  test("gives no further grace when one more would break an older promise", () => {
    const previousTokens = Array.from({ length: MAX_GRACES }, (_, i) => ({
      version: i + 1,
      until: SOON,
    }));
    const key = keyWith({ tokenVersion: MAX_GRACES + 1, previousTokens });
    expect(refreshed(key, 60, NOW)).toBe("too-many-graces");
    expect(refreshed(key, 0, NOW)).toEqual([]);
    expect(refreshed(key, 60, SOON)).toHaveLength(1);
  });
});

/** A small world in which everything can be tried: its names stand for all others. */
const MINE = "mallory@example.com";
const subset = <T>(all: readonly T[], least = 0) =>
  fc.shuffledSubarray([...all], { minLength: least });
const NAMES = ["*", "keys:write", OPERATOR_SIGN_IN, "relays:read", "accessFtp"];
const world = {
  organisationIds: subset([1, 2], 1),
  permissions: subset(NAMES),
  emails: subset([MINE, "ana@example.com"]),
  expiresAt: fc.constantFrom(null, SOON, LATER),
  ipAllowlist: fc.constantFrom<string[]>(
    [],
    ["192.0.2.0/24"],
    ["192.0.2.1/32"],
    ["192.0.2.1/32", "203.0.113.1/32"],
  ),
  blocked: fc.boolean(),
  dnsName: fc.constantFrom(null, "a", "b"),
};
const anySettings = fc.record(world).map((made): KeySettings => ({ ...settings, ...made }));
const anyChange = fc
  .tuple(
    fc.record(world, { requiredKeys: [] }),
    fc.option(fc.constantFrom(0, 60), { nil: undefined, freq: 3 }),
  )
  .map(
    ([change, grace]): KeyChange =>
      grace === undefined ? change : { ...change, refresh: { graceSeconds: grace } },
  );
const anyCall = fc.oneof(
  fc.record({ by: fc.nat(20), create: anySettings }),
  fc.record({ by: fc.nat(20), of: fc.nat(20), change: anyChange }),
  // The permissions of a key and one more, which a list drawn at random seldom is.
  fc.record({ by: fc.nat(20), of: fc.nat(20), permit: fc.constantFrom(...NAMES) }),
);

const ADDRESSES = ["192.0.2.1", "192.0.2.9", "203.0.113.1", "198.51.100.1"];
const within: Record<string, string[]> = {
  "192.0.2.0/24": ["192.0.2.1", "192.0.2.9"],
  "192.0.2.1/32": ["192.0.2.1"],
  "203.0.113.1/32": ["203.0.113.1"],
};

/** All that a key lets its holder do: every (organisation, permission, address, hour). */
function powers(key: KeySettings): string[] {
  if (key.blocked) return [];
  const permissions = ["keys:write", OPERATOR_SIGN_IN, "relays:read", "accessFtp", "anythingElse"];
  const from =
    key.ipAllowlist.length === 0
      ? ADDRESSES
      : key.ipAllowlist.flatMap((cidr) => within[cidr] ?? []);
  const hours = [NOW, SOON, LATER].filter((at) => key.expiresAt === null || at < key.expiresAt);
  return key.organisationIds.flatMap((organisation) =>
    permissions
      .filter((permission) => hasPermission(key.permissions, permission))
      .flatMap((permission) =>
        from.flatMap((ip) => hours.map((at) => [organisation, permission, ip, at].join(" "))),
      ),
  );
}

describe("a sequence of calls, in any order,", () => {
  test("never gives the holder of a key more than they held at its start", () => {
    fc.assert(
      fc.property(
        anySettings,
        fc.array(anySettings, { minLength: 1, maxLength: 4 }),
        fc.array(anyCall, { maxLength: 30 }),
        (own, others, calls) => {
          const permissions = [...new Set([...own.permissions, "keys:write"])];
          const keys = [{ ...own, permissions, blocked: false }, ...others].map((made, i) =>
            keyWith({ ...made, id: i + 1 }),
          );
          const mine = keys[0];
          if (!mine) return;
          const allowed = new Set(powers(mine));
          // What they could use before any call: their own key, and the keys that list their
          // address.
          const lets = (key: KeyRecord) =>
            key.emails.includes(MINE) && hasPermission(key.permissions, OPERATOR_SIGN_IN);
          fc.pre(!keys.slice(1).some(lets));
          const held = new Set([1]);
          for (const made of calls) {
            const holder = keys[made.by % keys.length];
            if (!holder || !held.has(holder.id) || holder.blocked) continue;
            if (!hasPermission(holder.permissions, "keys:write")) continue;
            const granter: Granter = {
              keyId: holder.id,
              organisationId: holder.organisationIds[0] ?? 0,
              organisationIds: holder.organisationIds,
              permissions: holder.permissions,
              expiresAt: holder.expiresAt,
              inGrace: false,
              tokenVersion: holder.tokenVersion,
              ipAllowlist: holder.ipAllowlist,
            };
            if ("create" in made) {
              if (checkKeyCreation(granter, made.create)) continue;
              keys.push(keyWith({ ...made.create, blocked: false, id: keys.length + 1 }));
              held.add(keys.length);
            } else {
              const key = keys[made.of % keys.length];
              if (!key) continue;
              const change =
                "permit" in made ? { permissions: [...key.permissions, made.permit] } : made.change;
              const decision = decideKeyChange(granter, key, change, NOW);
              if (!decision.ok) continue;
              Object.assign(key, decision.settings);
              if (decision.previousTokens) held.add(key.id);
            }
            for (const key of keys) {
              if (lets(key)) held.add(key.id);
              const beyond = held.has(key.id)
                ? powers(key).filter((power) => !allowed.has(power))
                : [];
              expect(beyond).toEqual([]);
            }
          }
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
