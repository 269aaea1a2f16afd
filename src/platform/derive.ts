/**
 * Derives every key from the deployment's secret, so that no other secret has to be stored. Pure.
 */
import { hkdfSync } from "node:crypto";

/**
 * Every purpose, with what happens to its keys when somebody changes `DRAWBRIDGE_SECRET`: all of them
 * change at once. A test compares this table with the one in `docs/operations.md`.
 */
export const PURPOSES = {
  "access-key": "The secrets with which Alibaba's SDKs sign: clients need the new ones.",
  challenge: "Challenges that devices have not answered yet: they ask for new ones.",
  "idempotent-answers": "Kept answers to an Idempotency-Key: they cannot be read any more (409).",
  "idempotent-requests":
    "How kept requests are told apart: a repeated request looks like another one.",
  "join-code":
    "Join codes of live relay sessions: each session shows a new one, which opens nothing.",
  "join-keys": "How a join that is sent again finds its seat: it takes another seat.",
  "join-code-digest": "How join codes are found: none is found any more.",
  poll: "Poll tokens of pending pairing requests: the devices ask again.",
  "relay-tokens": "Session and user tokens of live relay sessions: they open nothing any more.",
  "session-tokens": "Session tokens of operators: everybody signs in again.",
  "setup-code": "Setup codes that were not used yet: operators make new ones.",
  "sign-in-codes": "Sign-in codes that were not used yet: make new ones.",
  "source-session-ids":
    "How a repeated create of a source session finds the first: it makes another.",
  "webhook-secret":
    "Secrets that sign webhooks and connectors' messages: receivers need the new ones.",
} as const;

/** A purpose of the deployment's secret. */
export type Purpose = keyof typeof PURPOSES;

/** The keys of the deployment itself, as far as they were needed: one for each purpose at most. */
let remembered: { secret: string; keys: Map<Purpose, Buffer> } = { secret: "", keys: new Map() };

/**
 * The key for one purpose and one owner. HKDF-SHA256 (RFC 5869) with the salt `drawbridge`; the info is
 * the purpose and the parts of `of`, with slashes between them.
 *
 * A key without an owner is the deployment's own. It is remembered: it is needed for every token that is
 * shown, and HKDF costs several times what the token does. So no caller may change its bytes.
 * @param of names the owner, such as an organisation's id and a version. Only its last part may contain a
 *   slash, because otherwise two owners could get the same key
 * @param bytes the length of the key of an owner
 */
export function deriveKey(
  secret: string,
  purpose: Purpose,
  of: readonly (string | number)[] = [],
  bytes = 32,
): Buffer {
  if (of.length > 0) return hkdf(secret, [purpose, ...of].join("/"), bytes);
  if (remembered.secret !== secret) remembered = { secret, keys: new Map() };
  const key = remembered.keys.get(purpose) ?? hkdf(secret, purpose, 32);
  remembered.keys.set(purpose, key);
  return key;
}

function hkdf(secret: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "drawbridge", info, bytes));
}
