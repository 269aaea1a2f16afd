/** Text that people wrote: names, memos, metadata, display names. */
import { z } from "zod";

// Control characters, and the characters that make text read in another order than it is written.
const HARMFUL = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** Text that may be shown: what `humanText` refuses is spelled out. */
export function escapeHarmful(text: string): string {
  return text.replace(new RegExp(HARMFUL, "gu"), (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

/**
 * A string of `least` to `most` code points, NFC-normalised, without control characters or
 * bidirectional overrides.
 */
export function humanText(least: number, most: number) {
  return z
    .string("must be a string")
    .transform((text) => text.normalize("NFC"))
    .pipe(plainText(least, most));
}

/** As `humanText`, but left as it came: for text under a signature. */
export function plainText(least: number, most: number) {
  return z.string("must be a string").superRefine((text, issues) => {
    const length = [...text].length;
    if (length < least || length > most) {
      issues.addIssue(`must have ${least} to ${most} characters`);
    }
    if (!text.isWellFormed()) issues.addIssue("must be valid Unicode");
    if (HARMFUL.test(text)) {
      issues.addIssue("must not hold control characters or bidirectional overrides");
    }
  });
}
