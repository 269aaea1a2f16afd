/** What a run has to show: counts as they were accepted, no call that reads more with more rows, nothing lost. */

/** What is counted, in the order in which it is shown. */
export const COUNTED = [
  "requests",
  "objectCalls",
  "socketMessages",
  "d1Calls",
  "d1Read",
  "d1Written",
  "objectRead",
  "objectWritten",
  "queueOperations",
  "logLines",
];

/** What may be lost under load, with its words. */
export const LOSSES = {
  lostFrames: "frames that were lost",
  wrongFrames: "frames that came changed, or in another order",
  socketsNotToldOfTheEnd: "websockets that did not hear of the end",
  eventsLost: "events that did not arrive",
  eventsTwice: "events that arrived twice",
  stillListed: "sessions that are still listed",
};

/** How many rows more a call may read in a full table, to find a page's beginning and end. */
const SLACK = 10;

/** Compares counts, by call, with those that were accepted. A check for each call: what is wrong, or null. */
export function checkCounts(found, accepted) {
  const names = [...new Set([...Object.keys(accepted), ...Object.keys(found)])];
  return names.map((name) => {
    const problem = COUNTED.flatMap((what) => {
      const [before, now] = [accepted[name]?.[what], found[name]?.[what]];
      return before === now ? [] : [`${what} ${before ?? "unknown"}, now ${now ?? "not counted"}`];
    }).join("; ");
    return { name: `counts: ${name}`, problem: problem || null };
  });
}

/**
 * A check for each call that was measured with few rows and with many: what is wrong, or null.
 * @param rows `read`: rows read, at each size. `floor`: it is bounded by so many rows, and may read fewer of a small
 *   table
 */
export function checkGrowth(rows) {
  return rows.map(({ name, read, floor = 0 }) => {
    const isGrowing = read.at(-1) > Math.max(read[0], floor) + SLACK;
    const problem = isGrowing ? `reads ${read.join(", then ")} rows: more with more rows` : null;
    return { name: `growth: ${name}`, problem };
  });
}

/** A check for each kind of loss: how much was lost, or null. */
export function checkLoad(found) {
  return Object.entries(LOSSES).map(([what, words]) => ({
    name: `load: ${words}`,
    problem: found[what] === 0 ? null : `${found[what]}, and should be 0`,
  }));
}
