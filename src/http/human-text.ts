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

// What leaves no mark where it is shown: spaces, format characters, marks without a letter to stand on, the
// fillers that Unicode lets programs ignore (Hangul's among them), and the blanks of Braille, of music and
// of hieroglyphs, which it does not.
const INVISIBLE =
  /^[\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{M}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{13441}\u{13442}]+$/u;

/**
 * A string of `least` to `most` code points that people read, NFC-normalised, without control characters
 * or bidirectional overrides. If it is not empty, there is something to see.
 */
export function humanText(least: number, most: number) {
  return freeText(least, most).refine(isVisible, UNSEEN);
}

/** As `humanText`, but it may be blank: for text that programs read. */
export function freeText(least: number, most: number) {
  return z
    .string("must be a string")
    .transform((text) => text.normalize("NFC"))
    .pipe(plainText(least, most));
}

/** As `humanText`, but left as it came: for text under a signature. */
export function signedText(least: number, most: number) {
  return plainText(least, most).refine(isVisible, UNSEEN);
}

const UNSEEN = "must hold something that can be seen";

function isVisible(text: string): boolean {
  return !INVISIBLE.test(text);
}

function plainText(least: number, most: number) {
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
