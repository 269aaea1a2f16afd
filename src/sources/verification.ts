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
import type { SourceFacts } from "../session/machine";
import {
  type Connector,
  type Credentials,
  connectorSecret,
  FAILURES,
  MOCK_TYPE,
  type Outcome,
} from "./connector";
import { askMock } from "./mock";

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

const unavailable: Outcome = { result: "failed", error: "service-unavailable" };

const verdict = z.union([
  z.object({
    result: z.literal("active"),
    expires_at: z.iso.datetime({ offset: true }).nullish(),
  }),
  z.object({ result: z.literal("failed"), error: z.enum(FAILURES) }),
]);

/**
 * Asks the connector whether it accepts these credentials. Whatever else it does than answer as
 * agreed, in time, is `service-unavailable`. Null: nobody will ever answer (the built-in type only).
 */
export async function verifyAccess(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
  payload: Credentials,
): Promise<Outcome | null> {
  if (connector.type === MOCK_TYPE) return askMock(session.source.identifier, payload);
  const answer = verdict.safeParse(await ask(deps, connector, session, { payload }));
  if (!answer.success) return unavailable;
  const { data } = answer;
  if (data.result === "failed") return data;
  const expiresAt = data.expires_at ? Date.parse(data.expires_at) : null;
  // Access that has ended already is none.
  return expiresAt !== null && expiresAt <= Date.now()
    ? unavailable
    : { result: "active", expiresAt };
}

/** Whether the connector says that the session's access has ended. A connector that is down does not. */
export async function hasEnded(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
): Promise<boolean> {
  if (connector.type === MOCK_TYPE) return false;
  const answer = await ask(deps, connector, session, {});
  return z.object({ result: z.literal("expired") }).safeParse(answer).success;
}

/** One signed POST; what was answered, or undefined for anything but a small 2xx with JSON in time. */
async function ask(
  deps: ConnectorDeps,
  connector: Connector,
  session: AskedSession,
  more: { payload?: Credentials },
): Promise<unknown> {
  const judged = judgeAddress(connector.url, addressRules(deps, session.origin));
  if (!judged.ok) return undefined;
  const now = Date.now();
  const id = newEventId(now);
  const timestampSeconds = Math.floor(now / 1_000);
  const { userId, sourceId, type, identifier } = session.source;
  const source = { id: sourceId, user: userId, type, identifier };
  const body = JSON.stringify({ session_id: session.id, source, ...more });
  const secrets = [connectorSecret(deps.secret, session.organisationId, connector)];
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
      signal: AbortSignal.timeout(connector.timeoutSeconds * 1_000),
    });
    const text = response.ok ? await readAtMost(response, MOST_ANSWER_BYTES) : null;
    if (text === null) await response.body?.cancel();
    return text === null ? undefined : JSON.parse(text);
  } catch {
    // Not logged: the error of a bad answer quotes it.
    return undefined;
  }
}

async function readAtMost(response: Response, most: number): Promise<string | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body) {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > most) return null;
      chunks.push(chunk);
    }
  }
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(Buffer.concat(chunks));
}
