/**
 * Makes one attempt of a delivery: finds the address and the secrets as they are now, and posts the event.
 * The consumer of deliveries and the test of an endpoint call it.
 */

import type { Attempt } from "../events/delivery-record";
import type { DomainEvent } from "../events/event";
import { addressRules } from "../outbound/address";
import {
  isSuccess,
  type PostAnswer,
  type PostWithoutAnswer,
  postSigned,
} from "../outbound/signed-post";
import { endpointOwner, organisationOwner, signingSecrets } from "../outbound/signing-secrets";
import type { Config } from "../platform/config";
import type { SessionEventData } from "../session/session";
import type { DeliveryToSend } from "./delivery";
import { secretVersions } from "./endpoint";
import { isSessionEvent } from "./event-catalogue";
import { parseRetryAfter } from "./retry-schedule";
import { signDeliveryRequest } from "./webhook-request";

/** What it takes to send a webhook: where this deployment may send, its secret, and the formats. */
export interface WebhookSender {
  config: Config;
  /** The JSON body of an event in each format; `attemptsBefore`: as for `makeAttempt`. */
  render: {
    "relay-session": (event: DomainEvent<SessionEventData>) => unknown;
    standard: (event: DomainEvent) => unknown;
    ricloud: (event: DomainEvent, attemptsBefore: number) => unknown;
  };
}

/** The part of a delivery that an attempt needs. A test has no more than this. */
export type AttemptInput = Pick<
  DeliveryToSend,
  "organisationId" | "event" | "format" | "url" | "endpoint" | "endpointId" | "organisationSecrets"
>;

/** An attempt that was sent, whether an answer came or not. */
export interface SentAttempt {
  sent: true;
  attempt: Attempt;
  succeeded: boolean;
  timedOut: boolean;
  /** From `parseRetryAfter`; null if the receiver did not ask. */
  retryAfterSeconds: number | null;
}

/** The result of an attempt. Where nothing was sent, `attempt.error` says why. */
export type AttemptResult = SentAttempt | { sent: false; attempt: Attempt };

/** A receiver has this long to answer. */
const TIMEOUT_MS = 15_000;
/** How much of an answer is kept: its first 1 KB. */
const KEPT_RESPONSE_BYTES = 1_024;

/**
 * Makes an attempt; never throws for what a receiver does.
 * @param attemptsBefore how many attempts there were before. An attempt of the schedule counts only those
 *   of the schedule; a resend counts all. ricloud's format shows it as `retries`
 */
export async function makeAttempt(
  sender: WebhookSender,
  delivery: AttemptInput,
  attemptsBefore: number,
): Promise<AttemptResult> {
  const target = targetOf(sender, delivery, attemptsBefore);
  if (!target.ok) return unsentAttempt(target.reason, Date.now());
  const posted = await postSigned({
    url: target.url,
    rules: addressRules(sender.config, target.origin),
    sign: (url, at) =>
      signDeliveryRequest(delivery.format, {
        url,
        id: delivery.event.id,
        timestampSeconds: Math.floor(at / 1_000),
        body: JSON.stringify(target.body),
        secrets: target.secrets(at),
      }),
    timeoutMs: TIMEOUT_MS,
    answer: { mostBytes: KEPT_RESPONSE_BYTES, readBodyOf: "every status" },
  });
  switch (posted.kind) {
    case "refused":
      return unsentAttempt(posted.reason, Date.now());
    case "no answer":
      return withoutAnswer(posted);
    case "answered":
      return withAnswer(posted);
  }
}

type Target =
  | {
      ok: true;
      url: string;
      /** The origin at which the API was called when the address was set. */
      origin: string;
      /** The secrets that sign at a moment (Unix milliseconds). */
      secrets: (now: number) => [string, ...string[]];
      body: unknown;
    }
  | { ok: false; reason: string };

function targetOf(
  { config, render }: WebhookSender,
  delivery: AttemptInput,
  attemptsBefore: number,
): Target {
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
    body: render[delivery.format](event, attemptsBefore),
  };
}

function nowhere(reason: string): Target {
  return { ok: false, reason };
}

/** An attempt that was not made, and why. `at`: Unix milliseconds. */
export function unsentAttempt(error: string, at: number): AttemptResult {
  return { sent: false, attempt: { at, durationMs: 0, statusCode: null, response: null, error } };
}

/** The status alone says whether it arrived. Of a body that breaks off, what came is kept. */
function withAnswer({ at, endedAt, statusCode, headers, bytes }: PostAnswer): SentAttempt {
  const response = Buffer.from(bytes).toString("utf8");
  return {
    sent: true,
    attempt: { at, durationMs: endedAt - at, statusCode, response, error: null },
    succeeded: isSuccess(statusCode),
    timedOut: false,
    retryAfterSeconds: parseRetryAfter(headers.get("Retry-After"), endedAt),
  };
}

function withoutAnswer({ at, endedAt, timedOut, error }: PostWithoutAnswer): SentAttempt {
  const problem = timedOut
    ? `no answer within ${TIMEOUT_MS / 1_000} s`
    : `no connection, or it broke off: ${String(error)}`;
  return {
    sent: true,
    attempt: { at, durationMs: endedAt - at, statusCode: null, response: null, error: problem },
    succeeded: false,
    timedOut,
    retryAfterSeconds: null,
  };
}
