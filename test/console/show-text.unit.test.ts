/** What is shown of text that others wrote. */
import { expect, test } from "vitest";
import { showText } from "../../console/src/show-text";

test.each([
  [
    "a name as it is",
    "Zoë's Mac, \u05d0\u05d1 \ud83d\ude00",
    "Zoë's Mac, \u05d0\u05d1 \ud83d\ude00",
  ],
  ["marks that turn the direction, as numbers", "a\u202eb", "a‹U+202E›b"],
  ["what nobody sees, as numbers", "a\u200bb\u0007", "a‹U+200B›b‹U+0007›"],
  [
    "four marks on a letter, as languages have them",
    "e\u0301\u0308\u0323\u0331",
    "e\u0301\u0308\u0323\u0331",
  ],
  [
    "a pile of marks, which would cover the lines above, as numbers",
    `e${"\u0301".repeat(6)}`,
    `e${"\u0301".repeat(4)}‹U+0301›‹U+0301›`,
  ],
])("%s", (_, text, shown) => {
  expect(showText(text)).toBe(shown);
});
