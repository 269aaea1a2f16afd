/**
 * Asks connectors whether they accept credentials, and whether a session still stands. Never call it in a
 * Durable Object, which must not wait for services of others.
 *
 * The credentials are arguments here, and go into one request. They are in no result, error or log. Every
 * answer of a connector is turned into one of our own sentences, since it might repeat the credentials.
 */
import * as z from "zod";
import { newEventId } from "../events/event";
import { addressRules, type SendingConfig } from "../outbound/address";
import { isSuccess, postSigned } from "../outbound/signed-post";
import { signStandardWebhook } from "../outbound/standard-webhooks";
import type { SourceFacts } from "../session/session";
import {
  type Connector,
  type Credentials,
  connectorSecrets,
  MOCK_TYPE,
  VERIFICATION_FAILURES,
  type VerificationOutcome,
} from "./connector";
import { verifyWithMock } from "./mock-connector";

/** The configuration that a call on a connector needs. */
export interface ConnectorCallConfig extends SendingConfig {
  secret: string;
}

/** The part of a source session that a call on its connector needs. */
export interface SourceSession {
  id: string;
  organisationId: number;
  origin: string;
  source: Pick<SourceFacts, "userId" | "sourceId" | "type" | "identifier">;
}

/** An answer is a line of JSON. A longer one is refused. */
const MAX_ANSWER_BYTES = 16_384;

/**
 * The result of a verification. `outcome` is null where no answer will ever come. `problem` says in our own
 * words what was wrong with the connector's answer; null: nothing.
 */
export interface VerifiedAccess {
  outcome: VerificationOutcome | null;
  problem: string | null;
}

/** The JSON that a connector answered, or why there is none. */
type Answer = { ok: true; json: unknown } | { ok: false; problem: string };

/** All messages are ours: none may contain what the connector answered. */
const verdict = z.discriminatedUnion(
  "result",
  [
    z.object({
      result: z.literal("active"),
      expires_at: z.iso
        .datetime({
          offset: true,
          error: "expires_at must be a date and time with an offset, such as 2026-11-22T08:00:00Z",
        })
        .nullish(),
    }),
    z.object({
      result: z.literal("failed"),
      error: z.enum(
        VERIFICATION_FAILURES,
        `error must be one of ${VERIFICATION_FAILURES.join(", ")}`,
      ),
    }),
  ],
  'the answer must be a JSON object whose result is "active" or "failed"',
);

const standing = z.object({ result: z.enum(["active", "expired"]) });

/**
 * Asks the connector whether it accepts these credentials. If it does not answer in time and in the right
 * form, the outcome is `service-unavailable`. Only the built-in connector may never answer.
 */
export async function verifyAccess(
  config: ConnectorCallConfig,
  connector: Connector,
  session: SourceSession,
  payload: Credentials,
): Promise<VerifiedAccess> {
  if (connector.type === MOCK_TYPE) {
    return { outcome: await verifyWithMock(session.source.identifier, payload), problem: null };
  }
  const answer = await askConnector(config, connector, session, { payload });
  if (!answer.ok) return unavailable(answer.problem);
  const { data, error } = verdict.safeParse(answer.json);
  if (!data) return unavailable(error.issues[0]?.message ?? "the answer has another form");
  if (data.result === "failed") return { outcome: data, problem: null };
  const expiresAt = data.expires_at ? Date.parse(data.expires_at) : null;
  // Access that has ended already is no access.
  return expiresAt !== null && expiresAt <= Date.now()
    ? unavailable("expires_at has passed")
    : { outcome: { result: "active", expiresAt }, problem: null };
}

function unavailable(problem: string): VerifiedAccess {
  return { outcome: { result: "failed", error: "service-unavailable" }, problem };
}

/**
 * Asks the connector whether the session's access has ended. `problem` says what was wrong with the answer;
 * without a good answer, the access has not ended.
 */
export async function checkAccess(
  config: ConnectorCallConfig,
  connector: Connector,
  session: SourceSession,
): Promise<{ ended: boolean; problem: string | null }> {
  if (connector.type === MOCK_TYPE) return { ended: false, problem: null };
  const answer = await askConnector(config, connector, session, {});
  if (!answer.ok) return { ended: false, problem: answer.problem };
  const { data } = standing.safeParse(answer.json);
  if (data) return { ended: data.result === "expired", problem: null };
  const problem =
    'the answer to a check must be a JSON object whose result is "active" or "expired"';
  return { ended: false, problem };
}

/** Posts one question to the connector. An answer is a 2xx with a small JSON body, in time. */
async function askConnector(
  config: ConnectorCallConfig,
  connector: Connector,
  session: SourceSession,
  more: { payload?: Credentials },
): Promise<Answer> {
  const { userId, sourceId, type, identifier } = session.source;
  const source = { id: sourceId, user: userId, type, identifier };
  const body = JSON.stringify({ session_id: session.id, source, ...more });
  const posted = await postSigned({
    url: connector.url,
    rules: addressRules(config, session.origin),
    sign: (url, at) =>
      signStandardWebhook({
        url,
        id: newEventId(at),
        timestampSeconds: Math.floor(at / 1_000),
        body,
        secrets: connectorSecrets(config.secret, session.organisationId, connector, at),
      }),
    timeoutMs: connector.timeoutSeconds * 1_000,
    // One byte more than an answer may have shows that it is too long.
    answer: { mostBytes: MAX_ANSWER_BYTES + 1, readBodyOf: "status 2xx" },
  });
  if (posted.kind === "refused") return none(`nothing may be sent to the url: ${posted.reason}`);
  if (posted.kind === "no answer") return none(brokenCall(posted, connector));
  if (posted.brokeOff) return none(brokenCall(posted.brokeOff, connector));
  const { statusCode, bytes } = posted;
  if (!isSuccess(statusCode)) {
    return none(`it answered with the status ${statusCode} instead of 2xx`);
  }
  return bytes.length > MAX_ANSWER_BYTES
    ? none(`it answered with more than ${MAX_ANSWER_BYTES} bytes`)
    : parseAnswer(bytes);
}

function brokenCall({ timedOut }: { timedOut: boolean }, { timeoutSeconds }: Connector): string {
  return timedOut
    ? `it gave no answer within ${timeoutSeconds} s`
    : "there was no connection, or it broke off";
}

function parseAnswer(bytes: Uint8Array): Answer {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
    return { ok: true, json: JSON.parse(text) };
  } catch {
    // Not logged: the error of a bad answer quotes it.
    return none("its answer is not JSON in UTF-8");
  }
}

function none(problem: string): Answer {
  return { ok: false, problem };
}
