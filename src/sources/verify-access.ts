/**
 * Asks connectors: whether they accept credentials, and whether a session still stands. Only ever
 * called outside of Durable Objects, which must not wait for others.
 *
 * The credentials are arguments here and go into one request. They are in no result, error or log:
 * whatever a connector answers is mapped onto fixed words, since it might say back what it was told.
 */
import { z } from "zod";
import { newEventId } from "../events/event";
import { addressRules, judgeAddress, type SendingConfig } from "../outbound/address";
import { signWebhook } from "../outbound/standard-webhooks";
import type { SourceFacts } from "../session/session";
import {
  type Connector,
  type Credentials,
  connectorSecrets,
  FAILURES,
  MOCK_TYPE,
  type Outcome,
} from "./connector";
import { askMock } from "./mock-connector";

/** What a call on a connector stands on. */
export interface ConnectorDeps extends SendingConfig {
  secret: string;
}

/** The session that a connector is asked about. */
export interface AskedSession {
  id: string;
  organisationId: number;
  origin: string;
  source: Pick<SourceFacts, "userId" | "sourceId" | "type" | "identifier">;
}

/** An answer is a line of JSON; more than this is not one. */
const MOST_ANSWER_BYTES = 16_384;

/**
 * What came of a verification: an outcome (null: nobody will ever answer), and, where the connector did
 * not answer as agreed, why, in our own words.
 */
export interface VerifiedAccess {
  outcome: Outcome | null;
  problem: string | null;
}

/** What a connector answered, or why there is no answer of its. */
type Answer = { ok: true; json: unknown } | { ok: false; problem: string };

/** Every message is ours: what a connector answered must not come back in one. */
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
      error: z.enum(FAILURES, `error must be one of ${FAILURES.join(", ")}`),
    }),
  ],
  'the answer must be a JSON object whose result is "active" or "failed"',
);

const standing = z.object({ result: z.enum(["active", "expired"]) });

/**
 * Asks the connector whether it accepts these credentials. Whatever else it does than answer as
 * agreed, in time, is `service-unavailable`. Nobody ever answers for the built-in type only.
 */
export async function verifyAccess(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
  payload: Credentials,
): Promise<VerifiedAccess> {
  if (connector.type === MOCK_TYPE) {
    return { outcome: await askMock(session.source.identifier, payload), problem: null };
  }
  const answer = await ask(deps, connector, session, { payload });
  if (!answer.ok) return unavailable(answer.problem);
  const { data, error } = verdict.safeParse(answer.json);
  if (!data) return unavailable(error.issues[0]?.message ?? "the answer has another form");
  if (data.result === "failed") return { outcome: data, problem: null };
  const expiresAt = data.expires_at ? Date.parse(data.expires_at) : null;
  // Access that has ended already is none.
  return expiresAt !== null && expiresAt <= Date.now()
    ? unavailable("expires_at has passed")
    : { outcome: { result: "active", expiresAt }, problem: null };
}

function unavailable(problem: string): VerifiedAccess {
  return { outcome: { result: "failed", error: "service-unavailable" }, problem };
}

/**
 * Asks the connector whether the session's access has ended, and says why, where it did not answer as
 * agreed. A connector that is down has not said that it ended.
 */
export async function checkAccess(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
): Promise<{ ended: boolean; problem: string | null }> {
  if (connector.type === MOCK_TYPE) return { ended: false, problem: null };
  const answer = await ask(deps, connector, session, {});
  if (!answer.ok) return { ended: false, problem: answer.problem };
  const { data } = standing.safeParse(answer.json);
  if (data) return { ended: data.result === "expired", problem: null };
  const problem =
    'the answer to a check must be a JSON object whose result is "active" or "expired"';
  return { ended: false, problem };
}

/** One signed POST; an answer is a small 2xx with JSON in time. */
async function ask(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
  more: { payload?: Credentials },
): Promise<Answer> {
  const judged = judgeAddress(connector.url, addressRules(deps, session.origin));
  if (!judged.ok) return none(`nothing may be sent to the url: ${judged.refusal.reason}`);
  const now = Date.now();
  const id = newEventId(now);
  const timestampSeconds = Math.floor(now / 1_000);
  const { userId, sourceId, type, identifier } = session.source;
  const source = { id: sourceId, user: userId, type, identifier };
  const body = JSON.stringify({ session_id: session.id, source, ...more });
  const secrets = connectorSecrets(deps.secret, session.organisationId, connector, now);
  const timeout = AbortSignal.timeout(connector.timeoutSeconds * 1_000);
  let answered: Uint8Array;
  try {
    const response = await fetch(judged.url.href, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "User-Agent": "Drawbridge",
        "webhook-id": id,
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signWebhook({ secrets, id, timestampSeconds, body }),
      },
      body,
      // Where a redirect leads was never judged, and must not get the credentials.
      redirect: "manual",
      signal: timeout,
    });
    const bytes = response.ok ? await readAtMost(response, MOST_ANSWER_BYTES) : null;
    if (bytes === null) await response.body?.cancel();
    if (!response.ok) return none(`it answered with the status ${response.status} instead of 2xx`);
    if (bytes === null) return none(`it answered with more than ${MOST_ANSWER_BYTES} bytes`);
    answered = bytes;
  } catch {
    return none(
      timeout.aborted
        ? `it gave no answer within ${connector.timeoutSeconds} s`
        : "there was no connection, or it broke off",
    );
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(answered);
    return { ok: true, json: JSON.parse(text) };
  } catch {
    // Not logged: the error of a bad answer quotes it.
    return none("its answer is not JSON in UTF-8");
  }
}

function none(problem: string): Answer {
  return { ok: false, problem };
}

async function readAtMost(response: Response, most: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body) {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > most) return null;
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}
