/** Whether an API key works, in a word or two. Pure. */
import { roughly } from "../../durations";

/** From so long before its end on, a key says when it ends. Milliseconds; the service tells of it then, too. */
const SOON_MS = 7 * 86_400_000;

/** What decides whether a key works. */
export interface KeyFacts {
  blocked: boolean;
  isValid: boolean;
  /** RFC 3339; null: it has no end. */
  expiresAt: string | null;
}

/** The words for the state of a key, and how good it is. */
export interface KeyState {
  kind: "good" | "warn" | "bad";
  words: string;
}

/**
 * The state of a key.
 * @param now the service's time, Unix milliseconds
 */
export function keyState({ blocked, isValid, expiresAt }: KeyFacts, now: number): KeyState {
  const left = expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt) - now;
  if (left <= 0) return { kind: "bad", words: "ended" };
  if (blocked) return { kind: "bad", words: "blocked" };
  if (!isValid) return { kind: "bad", words: "does not work" };
  if (left <= SOON_MS) return { kind: "warn", words: `ends in ${roughly(left)}` };
  return { kind: "good", words: "active" };
}
