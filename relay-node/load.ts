/** How loaded a relay node is, and when that is worth a message. Pure. */
import { loadClass, type NodeLoad } from "../src/relay-nodes/link-protocol";
import type { TrafficCounts } from "./traffic-counts";

/** Over how long rates are measured. */
export const MEASURE_EVERY_MS = 10_000;
/** How often Drawbridge is told without having asked. */
const SAY_EVERY_MS = 60_000;

export class LoadMeter {
  readonly #counts: TrafficCounts;
  #before = { at: 0, datagrams: 0, bytes: 0, dropped: 0 };
  #rates = { datagrams_per_second: 0, bytes_per_second: 0, dropped_per_second: 0 };
  #said = "";
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(counts: TrafficCounts, now: number) {
    this.#counts = counts;
    this.#before.at = now;
  }

  /** Measures the rates since the last call. */
  measure(now: number): void {
    const { datagramsIn: datagrams, bytesIn: bytes, allDropped: dropped } = this.#counts;
    const { at, ...before } = this.#before;
    const seconds = (now - at) / 1_000;
    if (seconds <= 0) return;
    this.#rates = {
      datagrams_per_second: Math.round((datagrams - before.datagrams) / seconds),
      bytes_per_second: Math.round((bytes - before.bytes) / seconds),
      dropped_per_second: Math.round((dropped - before.dropped) / seconds),
    };
    this.#before = { at: now, datagrams, bytes, dropped };
  }

  /** The load as it was measured last. */
  load(sessions: number, users: number): NodeLoad {
    return { sessions, users, ...this.#rates };
  }

  /** Whether a figure has come into another class than was said, and nothing was said for a minute. */
  isWorthSaying(load: NodeLoad, now: number): boolean {
    return now - this.#saidAt >= SAY_EVERY_MS && classesOf(load) !== this.#said;
  }

  /** Drawbridge knows this load now. */
  said(load: NodeLoad, now: number): void {
    this.#said = classesOf(load);
    this.#saidAt = now;
  }
}

function classesOf(load: NodeLoad): string {
  return Object.values(load).map(loadClass).join(" ");
}
