/**
 * Which secrets sign a webhook: always the newest, and each older one for the grace that its
 * rotation gave.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  endpointOwner,
  FIRST_SECRET,
  organisationOwner,
  rotateSecret,
  type SecretVersions,
  signingSecrets,
} from "../../src/outbound/signing-secrets";

const ROOT = "root-secret-of-this-test-0123456789-0123456789";
const DAY = 86_400_000;
const OWNER = organisationOwner(7);
const signing = (versions: SecretVersions, now: number) =>
  signingSecrets(ROOT, OWNER, versions, now);
/** The secret of a version, as it was while it was the newest. */
const secretOf = (version: number) => signing({ version, previous: [] }, 0)[0];

describe("a rotation", () => {
  test.each([
    ["at once", 0, [2, 1]],
    ["until its grace is over", DAY - 1, [2, 1]],
    ["and then no longer", DAY, [2]],
  ])("lets the old secret sign beside the new one %s", (_, later, versions) => {
    const rotated = rotateSecret(FIRST_SECRET, DAY, 1_000);
    expect(signing(rotated, 1_000 + later)).toEqual(versions.map(secretOf));
  });

  test("without a grace ends all older secrets, whatever grace they were given before", () => {
    const twice = rotateSecret(rotateSecret(FIRST_SECRET, 7 * DAY, 0), 0, 1);
    expect(signing(twice, 1)).toEqual([secretOf(3)]);
  });

  test("shortens a longer grace with a shorter one, and never lengthens one", () => {
    const shortened = rotateSecret(rotateSecret(FIRST_SECRET, 7 * DAY, 0), DAY, 0);
    expect(signing(shortened, DAY)).toEqual([secretOf(3)]);
    const kept = rotateSecret(rotateSecret(FIRST_SECRET, DAY, 0), 7 * DAY, 0);
    expect(signing(kept, DAY - 1)).toEqual([3, 2, 1].map(secretOf));
    expect(signing(kept, DAY)).toEqual([3, 2].map(secretOf));
  });
});

test("the newest secret signs first, no secret signs twice, and five sign at most, after any rotations", () => {
  const rotations = fc.array(
    fc.record({ graceMs: fc.integer({ min: 0, max: 7 * DAY }), wait: fc.nat(2 * DAY) }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(rotations, fc.nat(9 * DAY), (steps, later) => {
      let now = 0;
      let versions = FIRST_SECRET;
      const ends = new Map<number, number>();
      for (const { graceMs, wait } of steps) {
        now += wait;
        for (const [version, end] of ends) ends.set(version, Math.min(end, now + graceMs));
        ends.set(versions.version, now + graceMs);
        versions = rotateSecret(versions, graceMs, now);
      }
      now += later;
      const older = [...ends].filter(([, end]) => end > now).map(([version]) => version);
      const expected = [versions.version, ...older.toSorted((a, b) => b - a)].slice(0, 5);
      expect(signing(versions, now)).toEqual(expected.map(secretOf));
    }),
  );
});

test("two owners or two versions never share a secret", () => {
  const owners = [OWNER, organisationOwner(8), endpointOwner("whe_7"), endpointOwner("7")];
  const secrets = owners.flatMap((owner) =>
    [1, 2, 3].map((version) => signingSecrets(ROOT, owner, { version, previous: [] }, 0)[0]),
  );
  expect(new Set(secrets).size).toBe(secrets.length);
  for (const secret of secrets) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
});
