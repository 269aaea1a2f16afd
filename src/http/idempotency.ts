/**
 * Idempotency-Key: the first answer to a POST is kept for a day and replayed. A claim is one
 * conditional insert, so of concurrent twins exactly one runs.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import {
  type Claim,
  claimKey,
  findFirstUse,
  keepAnswer,
  releaseKey,
} from "../once/idempotency-keys";
import { readBodyText } from "./body";
import { type Call, type Caller, Refused } from "./context";

const SHAPE = /^[\x21-\x7e]{1,255}$/;

/** An answer as it is kept, before encryption. */
interface Kept {
  status: number;
  headers: [string, string][];
  body: string;
}

/**
 * Runs `handle`, or replays its first answer where the request names an Idempotency-Key that was
 * used before. Answers of 500 and above are not kept, so that a retry can succeed.
 * @param subject what is asked for, where path and body do not say it all; a retry must have the same
 * @throws Refused 400, 409 while the first still runs, 422 when the key was used for another request
 */
export async function idempotently(
  c: Call,
  caller: Pick<Caller, "organisationId" | "keyId">,
  handle: () => Promise<Response>,
  subject?: string,
): Promise<Response> {
  const idempotencyKey = c.req.header("Idempotency-Key");
  if (idempotencyKey === undefined) return handle();
  if (!SHAPE.test(idempotencyKey)) {
    throw new Refused({
      status: 400,
      code: "invalid-idempotency-key",
      message: "The Idempotency-Key must have 1 to 255 visible ASCII characters.",
    });
  }
  const request = subject ?? `${new URL(c.req.url).pathname}\n${await readBodyText(c)}`;
  // Keyed, since a body may hold a password that could be guessed from a plain digest.
  const requestDigest = createHmac("sha256", deriveKey(c.var.config.secret, "idempotent-requests"))
    .update(request)
    .digest("base64url");
  const claim = {
    organisationId: caller.organisationId,
    keyId: caller.keyId,
    idempotencyKey,
    requestDigest,
  };
  const kept = await claimOrFind(c, claim);
  if (kept) return replay(kept);

  let answer: Response;
  try {
    answer = await handle();
  } catch (error) {
    if (!(error instanceof Refused)) {
      await releaseKey(c.var.db, claim);
      throw error;
    }
    answer = c.var.surface.refuse(c, error.refusal);
  }
  if (answer.status >= 500) {
    await releaseKey(c.var.db, claim);
    return answer;
  }
  const body = await answer.clone().text();
  const value: Kept = { status: answer.status, headers: [...answer.headers], body };
  await keepAnswer(c.var.db, claim, encrypt(c.var.config.secret, JSON.stringify(value)));
  return answer;
}

/** Claims the key for this request: null, or the answer that the first request got. */
async function claimOrFind(c: Call, claim: Claim): Promise<Kept | null> {
  const { db, config } = c.var;
  if (await claimKey(db, claim, Date.now())) return null;
  const first = await findFirstUse(db, claim);
  if (first && first.requestDigest !== claim.requestDigest) {
    throw new Refused({
      status: 422,
      code: "idempotency-key-reused",
      message: "This Idempotency-Key was used for another request. Use a new one.",
    });
  }
  if (!first?.answer) {
    throw new Refused({
      status: 409,
      code: "idempotency-key-running",
      message: "The first request with this Idempotency-Key still runs. Try again shortly.",
      headers: { "Retry-After": "1" },
    });
  }
  const answer = decrypt(config.secret, first.answer);
  if (answer === null) {
    throw new Refused({
      status: 409,
      code: "idempotent-answer-lost",
      message:
        "The first answer to this Idempotency-Key cannot be read any more: the deployment's secret has changed. Look at what the first request did before you use a new key.",
    });
  }
  return JSON.parse(answer);
}

function replay(kept: Kept): Response {
  const headers = new Headers(kept.headers);
  headers.set("Idempotent-Replayed", "true");
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

function answerKey(secret: string): Uint8Array {
  return deriveKey(secret, "idempotent-answers");
}

function deriveKey(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "drawbridge", purpose, 32));
}
