/**
 * What the object stores beside the session's journal, and may lose a little of: the counters of sockets
 * that have closed, and when a source session was last used. Each is written now and then only.
 */
import type { Traffic } from "../session/session-calls";

/** Counters of closed sockets are written at most this often; an eviction in between loses the rest. */
const TRAFFIC_SAVE_MS = 5_000;
/** The time of the last use is written at most this often; an eviction in between loses the rest. */
const USED_SAVE_MS = 60_000;

export class UsageStore {
  readonly #kv: SyncKvStorage;
  #trafficSavedAt = 0;
  #usedSavedAt = 0;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** The counters that were stored, by user. */
  readTraffic(): ReadonlyMap<number, Traffic> {
    return this.#kv.get<Map<number, Traffic>>("traffic") ?? new Map();
  }

  /** When the session was last used, Unix milliseconds; null: never. */
  readUsedAt(): number | null {
    return this.#kv.get<number>("used") ?? null;
  }

  /** Writes the counters, if it is time to. */
  saveTraffic(traffic: ReadonlyMap<number, Traffic>, now: number): void {
    if (now - this.#trafficSavedAt < TRAFFIC_SAVE_MS || traffic.size === 0) return;
    this.#trafficSavedAt = now;
    this.#kv.put("traffic", new Map(traffic));
  }

  /** Writes that the session is used now, if it is time to. */
  saveUsedAt(now: number): void {
    if (now - this.#usedSavedAt < USED_SAVE_MS) return;
    this.#usedSavedAt = now;
    this.#kv.put("used", now);
  }
}
