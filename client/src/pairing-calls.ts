/** The HTTP calls of a device that pairs, repeated while the service says "later". */

import { PairingError } from "./pairing-error.js";

/** The wait before another try doubles from the first to the longest, where the answer names none. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
/** After so long without an answer a try has failed. */
const ANSWER_WITHIN_MS = 30_000;

/** A call: its method, URL, body and bearer token. */
export interface Call {
  method: "GET" | "POST";
  url: string;
  /** Makes the body anew for each try. */
  body?: (() => Promise<object>) | undefined;
  token?: string | undefined;
  /** For so long a failed call is tried again. */
  patienceMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * The answer of a call, as JSON. 429, answers from 500, and a network that is away are tried again, as
 * long as the call has patience. Throws a `PairingError` with the service's `code`, or `unreachable`.
 */
export async function call(request: Call): Promise<Record<string, unknown>> {
  const deadline = performance.now() + request.patienceMs;
  for (let ownWait = FIRST_WAIT_MS; ; ownWait = Math.min(ownWait * 2, LONGEST_WAIT_MS)) {
    const outcome = await tryOnce(request);
    if (!("error" in outcome)) return outcome.answer;
    const wait = outcome.waitMs ?? ownWait;
    if (!outcome.again || performance.now() + wait > deadline) throw outcome.error;
    await pause(wait, request.signal);
  }
}

type Outcome =
  | { answer: Record<string, unknown> }
  | { error: PairingError; again: boolean; waitMs?: number | undefined };

async function tryOnce({ method, url, body, token, signal }: Call): Promise<Outcome> {
  const signals = [AbortSignal.timeout(ANSWER_WITHIN_MS), ...(signal ? [signal] : [])];
  const init: RequestInit = { method, signal: AbortSignal.any(signals) };
  if (token) init.headers = { Authorization: `Bearer ${token}` };
  if (body) init.body = JSON.stringify(await body());
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    signal?.throwIfAborted();
    const error = new PairingError("unreachable", `${new URL(url).origin} cannot be reached.`, {
      cause,
    });
    return { error, again: true };
  }
  const { status } = response;
  const answer = await response.json().catch(() => undefined);
  signal?.throwIfAborted();
  if (response.ok && answer) return { answer };
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return {
    error: new PairingError(
      answer?.code ?? "unexpected-answer",
      answer?.detail ?? `${method} ${url} was answered with ${status}, and not with JSON.`,
      { status },
    ),
    // What is no JSON is not the service's: a proxy in between, or half an answer.
    again: status === 429 || status >= 500 || (response.ok && !answer),
    waitMs: seconds >= 0 ? seconds * 1_000 : undefined,
  };
}

/** Waits. Rejects with the signal's reason when that is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done, aborted) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      aborted(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      done();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
