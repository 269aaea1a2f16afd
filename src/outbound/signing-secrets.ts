/**
 * The secrets that sign webhooks and calls on connectors, and their rotation. Each is derived from the
 * deployment's secret, so a row holds version numbers and no secret. Pure.
 */

import type { PreviousSecret } from "../db/schema/webhooks";
import { deriveSecret } from "./standard-webhooks";

/** The versions of the secrets of one owner. */
export interface SecretVersions {
  /** The version of the newest, from 1. */
  version: number;
  /** Rotated secrets that may still sign, newest last. */
  previous: readonly PreviousSecret[];
}

/** What each owner begins with. */
export const FIRST_SECRET: SecretVersions = { version: 1, previous: [] };

/** The most older secrets: a header has no room for more signatures. A rotation beyond that ends the oldest. */
const MAX_PREVIOUS = 4;

/** How long a rotated secret may sign on at most: a week. */
export const LONGEST_SECRET_GRACE_SECONDS = 604_800;

/** The owner of an organisation's secret, for `signingSecrets`. */
export function organisationOwner(id: number): string {
  return `organisation/${id}`;
}

/** The owner of a webhook endpoint's secret, for `signingSecrets`. */
export function endpointOwner(id: string): string {
  return `endpoint/${id}`;
}

/** All secrets that sign at a moment (Unix milliseconds): at least one, the newest first. */
export function signingSecrets(
  rootSecret: string,
  owner: string,
  { version, previous }: SecretVersions,
  now: number,
): [string, ...string[]] {
  const older = previous.filter(({ until }) => until > now).map((one) => one.version);
  return [
    deriveSecret(rootSecret, owner, version),
    ...older.toReversed().map((one) => deriveSecret(rootSecret, owner, one)),
  ];
}

/**
 * The versions after a rotation. No older secret signs for longer than the grace that is given now. A grace
 * of 0 therefore ends all of them at once, even for somebody who has stolen one.
 * @param graceMs milliseconds, from 0 to the longest grace
 * @param now Unix milliseconds
 * @throws RangeError when `graceMs` is out of these bounds
 */
export function rotateSecret(
  { version, previous }: SecretVersions,
  graceMs: number,
  now: number,
): SecretVersions {
  if (!(graceMs >= 0 && graceMs <= LONGEST_SECRET_GRACE_SECONDS * 1_000)) {
    throw new RangeError(`graceMs must be from 0 to a week, not ${graceMs}`);
  }
  const end = now + graceMs;
  const older = [...previous, { version, until: end }]
    .map((one) => ({ version: one.version, until: Math.min(one.until, end) }))
    .filter(({ until }) => until > now)
    .slice(-MAX_PREVIOUS);
  return { version: version + 1, previous: older };
}
