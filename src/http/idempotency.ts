/**
 * Idempotency-Key: the first answer to a POST or a PATCH is kept for a day and given again. A claim is
 * one conditional insert, so of concurrent twins exactly one runs.
 *
 * An answer is never held back because D1 cannot keep it: the write is tried again behind the answer.
 * If that fails too, or the Worker died in between, nobody knows what the first request did. A repeat
 * is refused then, and not run: whoever asks has to look first.
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
import { type Call, type Caller, type HttpRefusal, Refused } from "./request-context";

const SHAPE = /^[\x21-\x7e]{1,255}$/;
/** The caller waits this long for D1 to keep an answer; then it is kept behind the answer. */
const KEEP_WAIT_MS = 2_000;
/** When keeping it is tried again. The platform lets work behind an answer go on for 30 s (2026-11). */
const KEEP_AGAIN_MS = [1_000, 4_000, 15_000];

/** An answer as it is kept, before encryption. */
interface Kept {
  status: number;
  headers: [string, string][];
  body: string;
}

/** The header of an answer that was given before. */
export const REPLAYED = "Idempotent-Replayed";

/** Whether each status is of the request, and kept, or of the moment. Conflicts say so themselves. */
const LASTS: Record<Exclude<HttpRefusal["status"], 409>, boolean> = {
  400: true,
  // Who calls is no part of the request: the next time, they may show what they have to.
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
 * Whose idempotency keys a caller's are: those of whoever has the API key, or of one person who signed
 * in as it.
 * @param email whom somebody vouches for: they stay the same person when they sign in anew
 */
export function scopeOf(
  { organisationId, keyId, session }: Pick<Caller, "organisationId" | "keyId" | "session">,
  email = session?.email ?? null,
): IdempotencyScope {
  const signedIn = session ? `session/${session.tokenId}` : null;
  return { organisationId, keyId, person: email === null ? signedIn : `email/${email}` };
}

/**
 * The Idempotency-Key of a request; null: it has none.
 * @param least how many characters it must have
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
 * Runs `handle`, or gives its first answer again where the request names an Idempotency-Key that was
 * used before. What is kept of a refusal is what is wrong with the request, and not what is of the
 * moment, so that a retry can succeed.
 * @param subject what is asked for, where method, path, query and body are not it; a retry must have
 *   the same
 * @throws Refused 400, 409 while the first still runs or when its answer is lost, 422 when the key was
 *   used for another request
 */
export async function idempotently(
  c: Call,
  scope: IdempotencyScope,
  handle: () => Promise<Response>,
  subject?: string,
): Promise<Response> {
  const idempotencyKey = readIdempotencyKey(c);
  if (idempotencyKey === null) return handle();
  const { pathname, search } = new URL(c.req.url);
  // A slash at the end is the same path.
  const path = pathname.replace(/\/$/, "");
  const request = subject ?? `${c.req.method} ${path}${search}\n${await readBodyText(c)}`;
  // Keyed, since a body may hold a password that could be guessed from a plain digest.
  const requestDigest = createHmac("sha256", deriveKey(c.var.config.secret, "idempotent-requests"))
    .update(request)
    .digest("base64url");
  const claim = { ...scope, idempotencyKey, requestDigest, createdAt: Date.now() };
  const kept = await claimOrFind(c, claim);
  if (kept) return replay(kept);

  let answer: Response;
  try {
    answer = await handle();
  } catch (error) {
    if (!(error instanceof Refused) || !lasts(error.refusal)) {
      await surely(c, () => releaseIdempotencyKey(c.var.db, claim));
      throw error;
    }
    answer = c.var.surface.refuse(c, error.refusal);
  }
  const body = await answer.clone().text();
  const value: Kept = { status: answer.status, headers: [...answer.headers], body };
  const sealed = encrypt(c.var.config.secret, JSON.stringify(value));
  await surely(c, () => keepAnswer(c.var.db, claim, sealed));
  return answer;
}

function lasts(refusal: HttpRefusal): boolean {
  return refusal.status === 409 ? refusal.lasts : LASTS[refusal.status];
}

/** Writes, if it has to be behind the answer: nobody is refused what was done because of it. */
async function surely(c: Call, write: () => Promise<void>): Promise<void> {
  try {
    await withTimeout(KEEP_WAIT_MS, write());
  } catch {
    c.executionCtx.waitUntil(writeLater(c.var.requestId, write));
  }
}

async function writeLater(requestId: string, write: () => Promise<void>): Promise<void> {
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

/** Claims the key for this request: null, or the answer that the first request got. */
async function claimOrFind(c: Call, claim: IdempotencyClaim): Promise<Kept | null> {
  const { db, config } = c.var;
  try {
    if (await claimIdempotencyKey(db, claim)) return null;
  } catch (error) {
    // The claim may have been stored all the same, and nothing will run under it.
    c.executionCtx.waitUntil(writeLater(c.var.requestId, () => releaseIdempotencyKey(db, claim)));
    throw error;
  }
  const first = await findFirstUse(db, claim);
  const answer = first?.answer ? decrypt(config.secret, first.answer) : null;
  // With another secret the digest differs for the same request too.
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

function replay(kept: Kept): Response {
  const headers = new Headers(kept.headers);
  headers.set(REPLAYED, "true");
  return new Response(kept.body === "" ? null : kept.body, { status: kept.status, headers });
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
