/**
 * The secrets that sign webhooks and what goes to connectors, over their life: each is derived from the
 * deployment's, so that a row holds versions and no secret. Pure.
 */

import type { PreviousSecret } from "../db/schema/webhooks";
import { deriveSecret } from "./standard-webhooks";

/** Which secrets somebody has. */
export interface SecretVersions {
  /** Of the newest, from 1. */
  version: number;
  /** Newest last. */
  previous: readonly PreviousSecret[];
}

/** What everybody begins with. */
export const FIRST_SECRET: SecretVersions = { version: 1, previous: [] };

/** A header has room for so many more signatures; rotating on ends the oldest. */
const MOST_PREVIOUS = 4;

/** The owner of an organisation's secret, for `signingSecrets`. */
export function organisationOwner(id: number): string {
  return `organisation/${id}`;
}

/** The owner of a webhook endpoint's secret, for `signingSecrets`. */
export function endpointOwner(id: string): string {
  return `endpoint/${id}`;
}

/** All secrets that sign at a moment (Unix milliseconds), the newest first: never none. */
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
 * The versions after a rotation. No older secret signs for longer than the grace that is given now, so
 * that a grace of 0 ends all of them at once: whoever learned one can no longer forge.
 * @param graceMs milliseconds, from 0
 * @param now Unix milliseconds
 */
export function rotateSecret(
  { version, previous }: SecretVersions,
  graceMs: number,
  now: number,
): SecretVersions {
  const end = now + graceMs;
  const older = [...previous, { version, until: end }]
    .map((one) => ({ version: one.version, until: Math.min(one.until, end) }))
    .filter(({ until }) => until > now)
    .slice(-MOST_PREVIOUS);
  return { version: version + 1, previous: older };
}
