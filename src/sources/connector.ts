/** Connectors: services of an organisation, each of which verifies access to sources of one type. Pure. */
import type { PreviousSecret } from "../db/schema/webhooks";
import { signingSecrets } from "../outbound/signing-secrets";

/** How sources of a type are verified, and on what terms their sessions live. */
export interface Connector {
  type: string;
  url: string;
  /** How long it has to answer. */
  timeoutSeconds: number;
  /** How often it is asked whether a session still stands; null: never. */
  checkIntervalSeconds: number | null;
  /** The life of a session; its service may give it less. */
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
  /** When its answer could not be taken, and why, in our own words; null: never. Unix milliseconds. */
  lastFailureAt: number | null;
  lastFailureReason: string | null;
}

/** What the owner of a connector sets. */
export type ConnectorTerms = Pick<
  Connector,
  "url" | "timeoutSeconds" | "checkIntervalSeconds" | "sessionTtlSeconds" | "idleSeconds"
>;

/** What events tell of a connector. */
export type ConnectorFacts = ConnectorTerms & Pick<Connector, "type" | "createdAt" | "version">;

/** The data of all `connector.*` events. */
export interface ConnectorEventData {
  readonly connector: ConnectorFacts;
}

/** What its owner has set of a connector, field by field. */
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
/** How much longer than its connector has to answer a session may be pending, in milliseconds. */
export const VERIFICATION_SLACK_MS = 10_000;
/** No session is pending for longer. */
export const LONGEST_PENDING_MS = LONGEST_TIMEOUT_SECONDS * 1_000 + VERIFICATION_SLACK_MS;

/** How long work may go on behind an answer, or a caller who has hung up (Cloudflare, 2026-11). */
const BEHIND_ANSWER_MS = 30_000;
/** What recording an outcome may take. */
const RECORDING_MS = 5_000;

/**
 * How long the answer to a create waits for the outcome, asked to or not, in milliseconds: a connector
 * that uses all of its time would else be given up behind the answer, before its outcome is recorded.
 */
export function answerWaitMs({ timeoutSeconds }: Pick<Connector, "timeoutSeconds">): number {
  return Math.max(0, timeoutSeconds * 1_000 + RECORDING_MS - BEHIND_ANSWER_MS);
}

/** The built-in source type, for trying and testing: see `mock.ts`. */
export const MOCK_TYPE = "mocks.mock";

/** How the built-in type is verified: as by a connector, but here. */
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
 * What proves to a connector that a request is ours, and to us that one is the connector's: the newest
 * secret first, then those before it that are in their grace (`now` in Unix milliseconds).
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

/** What someone shows to get access: passwords, codes. Never stored, logged or queued. */
export type Credentials = Readonly<Record<string, unknown>>;

/** Why a session can fail, in a connector's words. */
export const VERIFICATION_FAILURES = [
  "code-required",
  "code-invalid",
  "invalid-credentials",
  "source-locked",
  "service-unavailable",
] as const;

/** What came of a verification. */
export type VerificationOutcome =
  | { result: "active" /** Unix milliseconds; null: not known. */; expiresAt: number | null }
  | { result: "failed"; error: (typeof VERIFICATION_FAILURES)[number] };
