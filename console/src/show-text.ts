/** Makes text that others wrote safe to look at. Pure. */

/**
 * Characters that change how others are shown, or are not seen at all: controls, marks of direction,
 * zero-width ones, tags. A tab, a line feed and the mark of an emoji are left alone.
 */
const UNSEEN = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\t\n\ufe0f]]/gv;

/** A mark that stands above four others, or below. No script needs it, and a pile of them covers other text. */
const PILED = /(?<=\p{M}{4})\p{M}/gu;

/** The text with each such character as its number, such as ‹U+202E›. */
export function showText(text: string): string {
  return text.replace(PILED, inNumber).replace(UNSEEN, inNumber);
}

function inNumber(found: string): string {
  const number = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `‹U+${number}›`;
}
