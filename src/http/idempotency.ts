/**
 * Idempotency-Key: the first answer to a POST or a PATCH is stored for a day, and given again to a retry.
 * Called through `mount.ts`, and by the operations whose handler checks the credential.
 *
 * A request claims its key with one conditional insert. Of several equal requests at the same moment,
 * exactly one runs.
 *
 * The caller gets the answer even if D1 cannot store it: the write is tried again after the answer. If
 * that fails too, or if the Worker dies before, nobody knows what the first request did. A retry is then
 * refused and not run: the caller has to look first.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import {
  claimIdempotencyKey,
  findFirstUse,
  type IdempotencyClaim,
  type IdempotencyScope,
  keepAnswer,
  releaseIdempotencyKey,
} from "../once/idempotency-keys";
import { deriveKey } from "../platform/derive";
import { describeError, log } from "../platform/log";
import { pause, withTimeout } from "../platform/wait";
import { readBodyText } from "./body";
import { type AnyReply, toResponse } from "./operation";
import { type Call, type Caller, type HttpRefusal, Refused } from "./request-context";

const SHAPE = /^[\x21-\x7e]{1,255}$/;
/** How long the answer waits for D1 to store it. After that, it is stored behind the answer. */
const KEEP_WAIT_MS = 2_000;
/** The pauses before each new try. The platform lets work go on for 30 s after an answer (2026-11). */
const KEEP_AGAIN_MS = [1_000, 4_000, 15_000];

/** An answer as it is stored, before encryption. */
interface StoredAnswer {
  status: number;
  headers: [string, string][];
  body: string;
}

/** The header that marks an answer as a repetition of an earlier one. */
export const REPLAYED_HEADER = "Idempotent-Replayed";

/**
 * Whether a refusal with this status is stored. It is if the same request would be refused again, and it
 * is not if a retry may succeed. A conflict (409) says so itself: see `HttpRefusal`.
 */
const LASTS: Record<Exclude<HttpRefusal["status"], 409>, boolean> = {
  400: true,
  // The credential is no part of the request: the next time it may be the right one.
  401: false,
  403: true,
  404: true,
  405: true,
  410: true,
  413: true,
  415: true,
  422: true,
  426: true,
  429: false,
  500: false,
  503: false,
};

/**
 * Within which scope a caller's idempotency keys are unique: the API key, or one operator who signed in
 * with it.
 * @param email an address that Cloudflare Access has confirmed: the operator stays the same when they
 *   sign in again
 */
export function idempotencyScope(
  { organisationId, keyId, session }: Pick<Caller, "organisationId" | "keyId" | "session">,
  email = session?.email ?? null,
): IdempotencyScope {
  const signedIn = session ? `session/${session.tokenId}` : null;
  return { organisationId, keyId, person: email === null ? signedIn : `email/${email}` };
}

/**
 * The Idempotency-Key of a request; null: the header is absent.
 * @param least the fewest characters it may have
 * @throws Refused 400
 */
export function readIdempotencyKey(c: Call, least = 1): string | null {
  const idempotencyKey = c.req.header("Idempotency-Key");
  if (idempotencyKey === undefined) return null;
  if (SHAPE.test(idempotencyKey) && idempotencyKey.length >= least) return idempotencyKey;
  throw new Refused({
    status: 400,
    code: "invalid-idempotency-key",
    message: `The Idempotency-Key must have ${least} to 255 visible ASCII characters. A random UUID is a good one.`,
  });
}

/**
 * Runs `handle`. If the request has an Idempotency-Key that was used before, gives the first answer again
 * instead. A refusal is stored only if the same request would be refused again.
 * @param subject what must be equal in a retry; if left out, method, path, query and body
 * @throws Refused 400, 409 while the first still runs or when its answer is lost, 422 when the key was
 *   used for another request
 */
export function runOrReplay<R extends AnyReply | Response>(
  c: Call,
  scope: IdempotencyScope,
  handle: () => Promise<R>,
  subject?: string,
): Promise<R | Response> {
  const idempotencyKey = readIdempotencyKey(c);
  if (idempotencyKey === null) return handle();
  return runUnderKey(c, { ...scope, idempotencyKey }, handle, subject);
}

async function runUnderKey(
  c: Call,
  key: IdempotencyScope & { idempotencyKey: string },
  handle: () => Promise<AnyReply | Response>,
  subject: string | undefined,
): Promise<Response> {
  const secret = c.get("config").secret;
  const db = c.get("db");
  const { pathname, search } = new URL(c.req.url);
  // With or without a slash at its end, it is the same path.
  const path = pathname.replace(/\/$/, "");
  const request = subject ?? `${c.req.method} ${path}${search}\n${await readBodyText(c)}`;
  // An HMAC: a body may hold a password, which could be guessed from a plain hash.
  const requestDigest = createHmac("sha256", deriveKey(secret, "idempotent-requests"))
    .update(request)
    .digest("base64url");
  const claim = { ...key, requestDigest, createdAt: Date.now() };
  const stored = await claimOrFind(c, claim);
  if (stored) return replay(stored);

  let answer: Response;
  try {
    const reply = await handle();
    answer = reply instanceof Response ? reply : toResponse(reply);
  } catch (error) {
    if (!(error instanceof Refused) || !lasts(error.refusal)) {
      await writeWithRetries(c, () => releaseIdempotencyKey(db, claim));
      throw error;
    }
    answer = c.get("surface").refuse(c, error.refusal);
  }
  const body = await answer.clone().text();
  const value: StoredAnswer = { status: answer.status, headers: [...answer.headers], body };
  const sealed = encrypt(secret, JSON.stringify(value));
  await writeWithRetries(c, () => keepAnswer(db, claim, sealed));
  return answer;
}

function lasts(refusal: HttpRefusal): boolean {
  return refusal.status === 409 ? refusal.lasts : LASTS[refusal.status];
}

/** Writes now, or after the answer if D1 fails: what was done is done, so the caller gets their answer. */
async function writeWithRetries(c: Call, write: () => Promise<void>): Promise<void> {
  try {
    await withTimeout(KEEP_WAIT_MS, write());
  } catch {
    c.executionCtx.waitUntil(writeAfterAnswer(c.get("requestId"), write));
  }
}

async function writeAfterAnswer(requestId: string, write: () => Promise<void>): Promise<void> {
  let problem: unknown;
  for (const milliseconds of KEEP_AGAIN_MS) {
    await pause(milliseconds);
    try {
      return await write();
    } catch (error) {
      problem = error;
    }
  }
  log("idempotent answer lost", { request_id: requestId, error: describeError(problem) });
}

/** Claims the key for this request: null where that worked, else the answer to the first request. */
async function claimOrFind(c: Call, claim: IdempotencyClaim): Promise<StoredAnswer | null> {
  const db = c.get("db");
  try {
    if (await claimIdempotencyKey(db, claim)) return null;
  } catch (error) {
    // D1 may have stored the claim although it answered with an error. Nothing runs under it, so it is
    // released.
    c.executionCtx.waitUntil(
      writeAfterAnswer(c.get("requestId"), () => releaseIdempotencyKey(db, claim)),
    );
    throw error;
  }
  const first = await findFirstUse(db, claim);
  const answer = first?.answer ? decrypt(c.get("config").secret, first.answer) : null;
  // When the deployment's secret has changed, the digest of the same request differs too.
  const isUnreadable = first !== null && first.answer !== null && answer === null;
  if (first && first.requestDigest !== claim.requestDigest && !isUnreadable) {
    throw new Refused({
      status: 422,
      code: "idempotency-key-reused",
      message: "This Idempotency-Key was used for another request. Use a new one.",
    });
  }
  if (first === null || (first.answer === null && first.mayRun)) {
    throw new Refused({
      status: 409,
      lasts: false,
      code: "idempotency-key-running",
      message: "The first request with this Idempotency-Key still runs. Try again shortly.",
      headers: { "Retry-After": "1" },
    });
  }
  if (answer === null) {
    throw new Refused({
      status: 409,
      lasts: true,
      code: "idempotent-answer-lost",
      message:
        "The first answer to this Idempotency-Key is lost: it could not be kept, or the deployment's secret has changed. Look at what the first request did before you use a new key.",
    });
  }
  return JSON.parse(answer);
}

function replay(stored: StoredAnswer): Response {
  const headers = new Headers(stored.headers);
  headers.set(REPLAYED_HEADER, "true");
  return new Response(stored.body === "" ? null : stored.body, { status: stored.status, headers });
}

/** AES-256-GCM: 12 bytes of nonce, 16 of tag, then the text; base64. */
function encrypt(secret: string, text: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", answerKey(secret), nonce);
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64");
}

/** The text, or null when it was sealed with another secret. */
function decrypt(secret: string, sealed: string): string | null {
  const bytes = Buffer.from(sealed, "base64");
  const decipher = createDecipheriv("aes-256-gcm", answerKey(secret), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(12, 28));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString("utf8");
  } catch {
    return null;
  }
}

function answerKey(secret: string): Buffer {
  return deriveKey(secret, "idempotent-answers");
}
