/** Makes text that others wrote safe to look at. Pure. */

/**
 * Characters that change how others are shown, or are not seen at all: controls, marks of direction,
 * zero-width ones, tags. A tab, a line feed and the mark of an emoji are left alone.
 */
const UNSEEN = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\t\n\ufe0f]]/gv;

/** The text with each such character as its number, such as ‹U+202E›. */
export function showText(text: string): string {
  return text.replace(UNSEEN, (found) => {
    const number = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    return `‹U+${number}›`;
  });
}
