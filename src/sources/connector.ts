/** Connectors: services of an organisation, each of which verifies access to sources of one type. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";
import { signingSecrets } from "../outbound/signing-secrets";

/** How sources of one type are verified, and how long their sessions last. */
export interface Connector {
  type: string;
  url: string;
  /** How long it has to answer. */
  timeoutSeconds: number;
  /** How often it is asked whether an active session still stands; null: never. */
  checkIntervalSeconds: number | null;
  /** How long a session lasts at most. The connector may say that it ends earlier. */
  sessionTtlSeconds: number;
  /** How long a session may go unused. */
  idleSeconds: number;
  /** Unix milliseconds. */
  createdAt: number;
  /** Rises with every change, and is higher for a connector that was deleted and made again. */
  version: number;
  /** Rises with every rotation of its secret, and is higher for one that was made again. */
  secretVersion: number;
  /** Rotated secrets that still sign, newest last. */
  previousSecrets: readonly PreviousSecret[];
  /** When its last answer that could not be used came (Unix milliseconds), and why, in our own words. */
  lastFailureAt: number | null;
  lastFailureReason: string | null;
}

/** The part of a connector that its owner sets. */
export type ConnectorTerms = Pick<
  Connector,
  "url" | "timeoutSeconds" | "checkIntervalSeconds" | "sessionTtlSeconds" | "idleSeconds"
>;

/** The part of a connector that events show. */
export type ConnectorFacts = ConnectorTerms & Pick<Connector, "type" | "createdAt" | "version">;

/** The data of all `connector.*` events. */
export interface ConnectorEventData {
  readonly connector: ConnectorFacts;
}

/** Only the fields that the owner has set. */
export function connectorTerms(terms: ConnectorTerms): ConnectorTerms {
  const { url, timeoutSeconds, checkIntervalSeconds, sessionTtlSeconds, idleSeconds } = terms;
  return { url, timeoutSeconds, checkIntervalSeconds, sessionTtlSeconds, idleSeconds };
}

/** 30 days. */
export const DEFAULT_TTL_SECONDS = 2_592_000;
/** A day. */
export const DEFAULT_IDLE_SECONDS = 86_400;
export const DEFAULT_TIMEOUT_SECONDS = 10;

export const LONGEST_TIMEOUT_SECONDS = 30;
/** The shortest time that a session may last or go unused. */
export const SHORTEST_SESSION_SECONDS = 3;
/** The longest such time, and the longest between two checks: a year. */
export const LONGEST_SESSION_SECONDS = 31_536_000;
/** A session may be pending for so much longer than its connector has to answer, in milliseconds. */
export const VERIFICATION_SLACK_MS = 10_000;
/** No session is pending for longer. */
export const LONGEST_PENDING_MS = LONGEST_TIMEOUT_SECONDS * 1_000 + VERIFICATION_SLACK_MS;

/** How long work may go on after the answer, or after the caller has hung up (Cloudflare, 2026-11). */
const BEHIND_ANSWER_MS = 30_000;
/** How long it may take to record the outcome of a verification. */
const RECORDING_MS = 5_000;

/**
 * How long the answer to a create waits for the outcome at least, in milliseconds, even if the caller
 * did not ask for it. Otherwise the platform would stop the verification by a slow connector, which goes
 * on after the answer, before the outcome is recorded.
 */
export function answerWaitMs({ timeoutSeconds }: Pick<Connector, "timeoutSeconds">): number {
  return Math.max(0, timeoutSeconds * 1_000 + RECORDING_MS - BEHIND_ANSWER_MS);
}

/** The built-in type of sources, for tests: see `mock-connector.ts`. */
export const MOCK_TYPE = "mocks.mock";

/** The connector of the built-in type. It is no service: its answers are computed here. */
export const MOCK_CONNECTOR: Connector = {
  type: MOCK_TYPE,
  url: "",
  timeoutSeconds: 5,
  checkIntervalSeconds: null,
  sessionTtlSeconds: DEFAULT_TTL_SECONDS,
  idleSeconds: DEFAULT_IDLE_SECONDS,
  createdAt: 0,
  version: 0,
  secretVersion: 0,
  previousSecrets: [],
  lastFailureAt: null,
  lastFailureReason: null,
};

/**
 * The secrets that a connector shares with us; both sides sign with them. The newest comes first, then the
 * older ones that are in their grace (`now`: Unix milliseconds).
 */
export function connectorSecrets(
  rootSecret: string,
  organisationId: number,
  connector: Pick<Connector, "type" | "secretVersion" | "previousSecrets">,
  now: number,
): [string, ...string[]] {
  const { type, secretVersion: version, previousSecrets: previous } = connector;
  return signingSecrets(
    rootSecret,
    `connector/${organisationId}/${type}`,
    { version, previous },
    now,
  );
}

/** What a user enters to get access, such as a password or code. Never stored, logged or queued. */
export type Credentials = Readonly<Record<string, unknown>>;

/** The errors with which a connector may refuse. */
export const VERIFICATION_FAILURES = [
  "code-required",
  "code-invalid",
  "invalid-credentials",
  "source-locked",
  "service-unavailable",
] as const;

/** The outcome of a verification. */
export type VerificationOutcome =
  | { result: "active" /** Unix milliseconds; null: not known. */; expiresAt: number | null }
  | { result: "failed"; error: (typeof VERIFICATION_FAILURES)[number] };
