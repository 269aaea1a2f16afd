/**
 * The secrets of a relay session: its token, its users' tokens, its join code. All are derived from the
 * deployment's secret and the session's id. So none is stored anywhere, and a list can still show them,
 * as Edgegap's clients expect it.
 *
 * Each kind of secret has one key of the deployment, which `deriveKey` remembers. So the tokens of a session
 * with four users cost one HMAC-SHA256, and no key has to be derived for the session. Why that is as strong as
 * a key for each session:
 *
 * - Kinds are apart because their keys are: each is the output of HKDF for another purpose.
 * - Sessions are apart because a message begins with the session's id and a slash. No id has a slash in it. So
 *   the messages of two sessions always differ. Those of one session differ in the numbers behind it.
 * - With a key of 256 bits that nobody knows, HMAC-SHA256 cannot be told from a random function. HKDF and a key
 *   for each session rest on the same. So outputs for different messages say nothing of each other, and neither
 *   do parts of one output that do not overlap. Who knows all tokens but one has to guess that one among
 *   2³¹−1, as before, and `relay/wrong-token-lock.ts` bounds the guesses.
 *
 * What a key for each session would add is that who learns it learns no other session's. But it would be in
 * the same memory as the deployment's secret, and never anywhere else.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { dropOldest } from "../platform/bounded-memory";
import { codeFrom } from "../platform/codes";
import { deriveKey, type Purpose } from "../platform/derive";

/** Derives the tokens of one session, each when it is asked for. */
export interface SessionTokens {
  /** The session's own token, 1…2³¹−1. */
  readonly session: number;
  /** The token of the user with ordinal `n` and this `draw`, 1…2³¹−1. */
  user(user: { n: number; draw: number }): number;
}

const LARGEST_TOKEN = 0x7fff_ffff;
const TOKEN_BYTES = 6;
/** A digest has 32 bytes. So the first one is enough for the session's token and those of four users. */
const TOKENS_PER_DIGEST = 5;
/** Digests that an isolate remembers, with their names: about 3 MB. */
const MAX_DIGESTS = 10_000;

/**
 * The digests that were made last, with the deployment's secret of which they are: by session id and part. A
 * session is shown when it is made, when its users are, and as often as somebody asks how it is doing.
 */
let remembered: { secret: string; digests: Map<string, Buffer> } = {
  secret: "",
  digests: new Map(),
};

/** The tokens of a session. They are below 2³¹, because some typed clients hold them in a signed integer of 32 bits. */
export function sessionTokens(secret: string, sessionId: string): SessionTokens {
  // Nothing is derived before it is asked for.
  const digestFor = (part: string): Buffer => {
    if (remembered.secret !== secret) remembered = { secret, digests: new Map() };
    const { digests } = remembered;
    const name = `${sessionId}/${part}`;
    const known = digests.get(name);
    if (known) return known;
    const digest = digestOf(secret, "relay-tokens", name);
    digests.set(name, digest);
    dropOldest(digests, MAX_DIGESTS);
    return digest;
  };
  const tokenAt = (place: number, draw: number): number => {
    const digest = digestFor(`${Math.floor(place / TOKENS_PER_DIGEST)}/${draw}`);
    const number = digest.readUIntBE((place % TOKENS_PER_DIGEST) * TOKEN_BYTES, TOKEN_BYTES);
    // 2³¹−1 values; the bias of the remainder of 48 random bits is below 2⁻¹⁶.
    return (number % LARGEST_TOKEN) + 1;
  };
  return {
    get session() {
      return tokenAt(0, 0);
    },
    user: ({ n, draw }) => tokenAt(n + 1, draw),
  };
}

/**
 * The smallest `draw` from 0 with which the token of user `n` is unlike the session's token and the
 * `taken` ones. Two of 64 tokens agree by chance about once in a million sessions.
 */
export function drawUserToken(
  tokens: SessionTokens,
  n: number,
  taken: ReadonlySet<number>,
): number {
  for (let draw = 0; draw < MAX_TOKEN_TRIES; draw++) {
    const token = tokens.user({ n, draw });
    if (token !== tokens.session && !taken.has(token)) return draw;
  }
  throw new Error(`${MAX_TOKEN_TRIES} drawn tokens were all taken: the derivation is broken`);
}

/** The first users of a session, each with its draw: their ordinals are their places in the list. */
export function drawUserTokens<User>(
  tokens: SessionTokens,
  users: readonly User[],
): (User & { draw: number })[] {
  const taken = new Set<number>();
  return users.map((user, n) => {
    const draw = drawUserToken(tokens, n, taken);
    taken.add(tokens.user({ n, draw }));
    return { ...user, draw };
  });
}

/** Whether a token that somebody showed is this one; in constant time. */
export function isSameToken(token: number, shown: number): boolean {
  if (!Number.isInteger(shown) || shown < 1 || shown > LARGEST_TOKEN) return false;
  return timingSafeEqual(new Uint32Array([token]), new Uint32Array([shown]));
}

/** One draw is enough, but for one in a million sessions. So many never fail by chance. */
const MAX_TOKEN_TRIES = 100;

const JOIN_CODE_LENGTH = 8;

/**
 * The join code of a session, as it is shown: `XXXX-XXXX`. `draw` goes up when one is taken.
 *
 * There are 25⁸ codes, 153 thousand million. Among 1,000 live sessions one guess in 153 million is right:
 * at 30 wrong ones a minute one address needs years, and 10,000 addresses need hours for any one of them.
 */
export function joinCode(secret: string, sessionId: string, draw: number): string {
  const bytes = digestOf(secret, "join-code", `${sessionId}/${draw}`);
  const code = codeFrom(bytes.subarray(0, 8), JOIN_CODE_LENGTH);
  return `${code.slice(0, JOIN_CODE_LENGTH / 2)}-${code.slice(JOIN_CODE_LENGTH / 2)}`;
}

/**
 * What is stored of a join code: a keyed digest, since 8 characters could be guessed from a plain one.
 * It is the same however the code is typed: in any case, with or without the dash and spaces.
 */
export function joinCodeDigest(secret: string, code: string): string {
  const typed = code.replace(/[\s-]/g, "").toUpperCase();
  return digestOf(secret, "join-code-digest", typed).toString("base64url");
}

/**
 * What a session keeps of the Idempotency-Key of a join: a keyed digest, since whoever has the key gets
 * the user's token again. 128 bits.
 */
export function joinKeyDigest(secret: string, sessionId: string, idempotencyKey: string): string {
  const digest = digestOf(secret, "join-keys", `${sessionId}/${idempotencyKey}`);
  return digest.subarray(0, 16).toString("base64url");
}

function digestOf(secret: string, purpose: Purpose, message: string): Buffer {
  return createHmac("sha256", deriveKey(secret, purpose)).update(message).digest();
}
