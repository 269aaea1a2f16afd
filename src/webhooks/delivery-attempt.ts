/** One attempt of a delivery: where it goes now, what is said there, and what came back. */

import type { DomainEvent } from "../events/event";
import { addressRules, judgeAddress } from "../outbound/address";
import { endpointOwner, organisationOwner, signingSecrets } from "../outbound/signing-secrets";
import type { Config } from "../platform/config";
import type { SessionEventData } from "../session/session";
import type { Attempt, DueDelivery } from "./delivery-store";
import { secretVersions } from "./endpoint";
import { isSessionEvent } from "./event-catalogue";
import { parseRetryAfter } from "./retry-schedule";
import { toRequest } from "./webhook-request";

/** What attempts stand on. */
export interface AttemptDeps {
  config: Config;
  /** The JSON body of an event in each format; `retries`: how many attempts there were before. */
  render: {
    "relay-session": (event: DomainEvent<SessionEventData>) => unknown;
    standard: (event: DomainEvent) => unknown;
    ricloud: (event: DomainEvent, retries: number) => unknown;
  };
}

/** What an attempt needs to know of a delivery. */
export type Sendable = Pick<
  DueDelivery,
  "organisationId" | "event" | "format" | "url" | "endpoint" | "endpointId" | "organisationSecrets"
>;

/** What came of a request: an answer, or none. */
export interface Sent {
  sent: true;
  attempt: Attempt;
  succeeded: boolean;
  timedOut: boolean;
  /** From `parseRetryAfter`; null if the receiver did not ask. */
  retryAfterSeconds: number | null;
}

/** What came of an attempt; where there was nowhere to send it, the attempt tells why. */
export type Outcome = Sent | { sent: false; attempt: Attempt };

/** A receiver has this long to answer. */
const TIMEOUT_MS = 15_000;
/** How much of an answer is kept. */
const KEPT_RESPONSE_BYTES = 1_024;

/** Makes an attempt; never throws for what a receiver does. `retries`: how many there were before. */
export async function makeAttempt(
  deps: AttemptDeps,
  delivery: Sendable,
  retries: number,
): Promise<Outcome> {
  const target = targetOf(deps, delivery, retries);
  if (!target.ok) return unsent(target.reason);
  const judged = judgeAddress(target.url, addressRules(deps.config, target.origin));
  if (!judged.ok) return unsent(judged.refusal.reason);
  const at = Date.now();
  const request = toRequest(delivery.format, {
    url: judged.url,
    eventId: delivery.event.id,
    timestampSeconds: Math.floor(at / 1_000),
    body: JSON.stringify(target.body),
    secrets: target.secrets(at),
  });
  return post(request, at);
}

type Target =
  | {
      ok: true;
      url: string;
      /** Where the API was called by whoever named the address. */
      origin: string;
      /** Those that sign at a moment, Unix milliseconds. */
      secrets: (now: number) => [string, ...string[]];
      body: unknown;
    }
  | { ok: false; reason: string };

function targetOf({ config, render }: AttemptDeps, delivery: Sendable, retries: number): Target {
  const { event, endpointId, endpoint, organisationId, organisationSecrets } = delivery;
  if (!organisationSecrets) return nowhere("the organisation was deleted");
  if (delivery.format === "relay-session") {
    if (!isSessionEvent(event)) return nowhere("only events of sessions go to a webhook_url");
    const owner = organisationOwner(organisationId);
    return {
      ok: true,
      url: delivery.url,
      origin: event.data.session.origin,
      secrets: (now) => signingSecrets(config.secret, owner, organisationSecrets, now),
      body: render["relay-session"](event),
    };
  }
  if (!endpoint || endpointId === null) return nowhere("the webhook endpoint was deleted");
  const owner = endpointOwner(endpointId);
  return {
    ok: true,
    url: endpoint.url,
    origin: endpoint.origin,
    secrets: (now) => signingSecrets(config.secret, owner, secretVersions(endpoint), now),
    body: render[delivery.format](event, retries),
  };
}

function nowhere(reason: string): Target {
  return { ok: false, reason };
}

/** An attempt that could not be made. */
export function unsent(error: string): Outcome {
  const attempt = { at: Date.now(), durationMs: 0, statusCode: null, response: null, error };
  return { sent: false, attempt };
}

async function post(
  { url, headers, body }: ReturnType<typeof toRequest>,
  at: number,
): Promise<Sent> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const sent = (
    outcome: Pick<Attempt, "statusCode" | "response" | "error">,
    retryAfterSeconds: number | null,
  ): Sent => ({
    sent: true,
    attempt: { at, durationMs: Date.now() - at, ...outcome },
    succeeded: outcome.statusCode !== null && outcome.statusCode >= 200 && outcome.statusCode < 300,
    timedOut: outcome.statusCode === null && timeout.aborted,
    retryAfterSeconds,
  });
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "Drawbridge", ...headers },
      body,
      // A redirect is a failure: where it leads was never judged.
      redirect: "manual",
      signal: timeout,
    });
    const text = await readStart(response);
    return sent(
      { statusCode: response.status, response: text, error: null },
      parseRetryAfter(response.headers.get("Retry-After"), Date.now()),
    );
  } catch (error) {
    const problem = timeout.aborted
      ? `no answer within ${TIMEOUT_MS / 1_000} s`
      : `no connection, or it broke off: ${String(error)}`;
    return sent({ statusCode: null, response: null, error: problem }, null);
  }
}

/** The status has said what counts: of an answer that breaks off or never ends, what came is kept. */
async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= KEPT_RESPONSE_BYTES) break;
    }
  } catch {
    // Nothing more comes.
  }
  return Buffer.concat(chunks).subarray(0, KEPT_RESPONSE_BYTES).toString("utf8");
}
