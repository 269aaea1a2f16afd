/** Figures: what is in the middle of many, and how a line of them is printed. */

/** The value below which this part of the sorted values is. */
export function percentile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)];
}

/** Prints a line: what was measured, its figure, and what else is to be said. */
export function print(name, figure, rest = "") {
  console.log(`${name.padEnd(44)} ${figure.padStart(12)}   ${rest}`);
}
