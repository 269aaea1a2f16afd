/**
 * Schemas for text that people write: names, memos, metadata, display names. Called by the surfaces'
 * schemas.
 */
import * as z from "zod";

// Control characters, and characters that change the direction of writing: they can make text look like
// another.
const HARMFUL = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** The text with every harmful character written as `\uXXXX`, so that it can be shown. */
export function escapeHarmful(text: string): string {
  return text.replace(new RegExp(HARMFUL, "gu"), (character) => {
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

// Text of nothing but these cannot be seen: spaces, format characters, marks without a letter below them,
// fillers that Unicode lets programs ignore (Hangul's among them), and the blanks of Braille, music and
// hieroglyphs, which Unicode does not count among those.
const INVISIBLE =
  /^[\p{Z}\p{Cc}\p{Cf}\p{Cs}\p{M}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}\u{13441}\u{13442}]+$/u;

/**
 * Text of `least` to `most` code points that people read. It is normalised (NFC), and must not have control
 * characters or bidirectional overrides. If it is not empty, something of it can be seen.
 */
export function humanText(least: number, most: number) {
  return freeText(least, most).refine(isVisible, UNSEEN).meta(described(least, most));
}

/** As `humanText`, but it may be invisible: for text that programs read. */
export function freeText(least: number, most: number) {
  return z
    .string("must be a string")
    .transform((text) => text.normalize("NFC"))
    .pipe(plainText(least, most))
    .meta(described(least, most));
}

/** In JSON Schema the length is that of the text as it is sent, which may be longer. */
function described(least: number, most: number) {
  return {
    minLength: least,
    description: `${least} to ${most} characters, counted after Unicode normalisation (NFC).`,
  };
}

/** As `humanText`, but not normalised: a signature covers these bytes. */
export function signedText(least: number, most: number) {
  return plainText(least, most)
    .refine(isVisible, UNSEEN)
    .meta({ minLength: least, maxLength: most });
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
