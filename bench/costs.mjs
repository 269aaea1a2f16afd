/** What counts cost at list prices, in US dollars for a million, above what is included. The prices have a date. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The frames of a life that are really sent, each way; the rest of them cost the same each. */
export const FRAMES = 40;
/** How many lives the cron job is counted to remove at once: it shares one chain of messages among them. */
export const REMOVED_TOGETHER = 20;
/** A life plays for ten minutes, with 20 messages a second each way. */
const PLAY_SECONDS = 600;
const MESSAGES_OF_A_LIFE = PLAY_SECONDS * 20 * 2;

export const PRICES_FILE = "prices-2026-11-26.json";
export const PRICES = JSON.parse(readFileSync(join(import.meta.dirname, PRICES_FILE), "utf8"));

/** A million of a call, by what is billed. */
export function dollarsOf(counts) {
  const { perMillion } = PRICES;
  const rowsRead = counts.d1Read + counts.objectRead;
  const rowsWritten = counts.d1Written + counts.objectWritten;
  const parts = {
    requests: counts.requests * perMillion.requests,
    "calls of objects": counts.objectCalls * perMillion.objectCalls,
    messages: counts.socketMessages * perMillion.socketMessages,
    "rows written": rowsWritten * perMillion.rowsWritten,
    "rows read": rowsRead * perMillion.rowsRead,
    queues: counts.queueOperations * perMillion.queueOperations,
    "log lines": counts.logLines * perMillion.logLines,
  };
  return { parts, total: sum(parts) };
}

/**
 * A million lives: two users join, play for ten minutes, and the session ends, with two webhooks and the removal of
 * what is left. A few of the frames were really sent and counted: all of them cost the same.
 */
export function dollarsOfLives(found) {
  const [life, removal] = ["a life: ", "the removal of "].map((start) => {
    const name = Object.keys(found).find((one) => one.startsWith(start));
    return found[name];
  });
  const all = Object.fromEntries(
    Object.keys(life).map((what) => [what, life[what] + removal[what] / REMOVED_TOGETHER]),
  );
  if (all.socketMessages !== 2 * FRAMES)
    throw new Error("a life had other messages than its frames");
  const frames = MESSAGES_OF_A_LIFE * PRICES.perMillion.socketMessages;
  const rest = dollarsOf({ ...all, socketMessages: 0 });
  const awake = PLAY_SECONDS * PRICES.objectGb * PRICES.perMillion.objectGbSeconds;
  const rows = all.d1Written + all.objectWritten;
  return { counts: all, frames, rest, rows, awake };
}

function sum(parts) {
  return Object.values(parts).reduce((all, part) => all + part, 0);
}
