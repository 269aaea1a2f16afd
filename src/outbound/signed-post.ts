/**
 * One signed POST to an address that somebody gave us. The attempts of webhook deliveries and the calls
 * on connectors go through here.
 */
import { type AddressRules, judgeAddress } from "./address";
import type { SignedRequest } from "./standard-webhooks";

/** A POST that is to be made. */
export interface SignedPost {
  /** The address as it was given. */
  url: string;
  rules: AddressRules;
  /** Makes the request, once the address was found good. `at`: Unix milliseconds, of this request. */
  sign: (url: URL, at: number) => SignedRequest;
  /** The receiver has this long to answer. */
  timeoutMs: number;
  answer: {
    /** Reading stops as soon as there are so many bytes; the answer may have more. */
    mostBytes: number;
    /** Whose bodies are read. The others are cancelled, and come as no bytes. */
    readBodyOf: "every status" | "status 2xx";
  };
}

/** What came of a POST. Times are Unix milliseconds. */
export type PostResult =
  /** Nothing was sent: the address may not be used. */
  { kind: "refused"; reason: string } | PostAnswer | PostWithoutAnswer;

/** The receiver gave a status. */
export interface PostAnswer {
  kind: "answered";
  at: number;
  endedAt: number;
  statusCode: number;
  headers: Headers;
  /** The start of the body, at most `mostBytes`. */
  bytes: Uint8Array;
  /** The body broke off, or the time ran out, before the end or `mostBytes` was reached. */
  brokeOff: { timedOut: boolean } | null;
}

/** There was no connection, or no status came over it in time. */
export interface PostWithoutAnswer {
  kind: "no answer";
  at: number;
  endedAt: number;
  timedOut: boolean;
  error: unknown;
}

/** Whether a status says that the receiver took what was sent. */
export function isSuccess(statusCode: number): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/**
 * Judges the address, signs the request, and posts it. Never throws for what a receiver does.
 * It reads the clock itself: the signature and the duration are those of this very request.
 */
export async function postSigned(post: SignedPost): Promise<PostResult> {
  const judged = judgeAddress(post.url, post.rules);
  if (!judged.ok) return { kind: "refused", reason: judged.refusal.reason };
  const at = Date.now();
  const { url, headers, body } = post.sign(judged.url, at);
  const timeout = AbortSignal.timeout(post.timeoutMs);
  let response: Response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "User-Agent": "Drawbridge", ...headers },
      body,
      // Where a redirect leads was never judged, and must not get what is sent here.
      redirect: "manual",
      signal: timeout,
    });
  } catch (error) {
    const endedAt = Date.now();
    return { kind: "no answer", at, endedAt, timedOut: timeout.aborted, error };
  }
  const { mostBytes, readBodyOf } = post.answer;
  const isRead = readBodyOf === "every status" || isSuccess(response.status);
  const { bytes, isBroken } = isRead ? await readStart(response, mostBytes) : await skip(response);
  return {
    kind: "answered",
    at,
    endedAt: Date.now(),
    statusCode: response.status,
    headers: response.headers,
    bytes,
    brokeOff: isBroken ? { timedOut: timeout.aborted } : null,
  };
}

interface ReadBody {
  bytes: Uint8Array;
  isBroken: boolean;
}

/** Reads until the body ends, breaks off, or has given `mostBytes`. */
async function readStart(response: Response, mostBytes: number): Promise<ReadBody> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  let isBroken = false;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      length += chunk.length;
      // Leaving the loop cancels the rest.
      if (length >= mostBytes) break;
    }
  } catch {
    isBroken = true;
  }
  return { bytes: Buffer.concat(chunks).subarray(0, mostBytes), isBroken };
}

async function skip(response: Response): Promise<ReadBody> {
  try {
    await response.body?.cancel();
    return { bytes: new Uint8Array(), isBroken: false };
  } catch {
    return { bytes: new Uint8Array(), isBroken: true };
  }
}
