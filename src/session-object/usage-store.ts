/**
 * What the object stores beside the session's journal, and may lose a little of: the counters of sockets
 * that have closed, when users left, and when a source session was last used. Each is written now and then
 * only.
 */
import type { Departure, Traffic } from "../session/session-calls";

/** Counters of closed sockets are written at most this often; an eviction in between loses the rest. */
const TRAFFIC_SAVE_MS = 5_000;
/** The time of the last use is written at most this often; an eviction in between loses the rest. */
const USED_SAVE_MS = 60_000;

/** What has the counters, and when users left: a `LoadedSession`. */
interface Counted {
  hub: { traffic: ReadonlyMap<number, Traffic> };
  departures: { all: ReadonlyMap<number, Departure> };
}

export class UsageStore {
  readonly #kv: SyncKvStorage;
  #trafficSavedAt = 0;
  /** When the leaving of these users was written last, by user. */
  readonly #leavingSavedAt = new Map<number, number>();
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

  /**
   * Writes the counters, and when users left, if it is time to.
   * @param leaving users who have left now, and with whom something is to happen some time later: it is
   *   written at once. Only if one of them comes and goes, what is stored may be 5 seconds behind.
   */
  saveTraffic(counted: Counted, leaving: readonly number[], now: number): void {
    const isSaved = (n: number) => now - (this.#leavingSavedAt.get(n) ?? 0) < TRAFFIC_SAVE_MS;
    if (leaving.every(isSaved) && now - this.#trafficSavedAt < TRAFFIC_SAVE_MS) return;
    const saved = new Map(counted.hub.traffic);
    for (const [n, left] of counted.departures.all) {
      saved.set(n, { ...(saved.get(n) ?? NO_TRAFFIC), left });
    }
    if (saved.size === 0) return;
    this.#trafficSavedAt = now;
    for (const n of leaving) this.#leavingSavedAt.set(n, now);
    this.#kv.put("traffic", saved);
  }

  /** Writes that the session is used now, if it is time to. */
  saveUsedAt(now: number): void {
    if (now - this.#usedSavedAt < USED_SAVE_MS) return;
    this.#usedSavedAt = now;
    this.#kv.put("used", now);
  }
}

/** The figures of a user who never had a websocket. */
export const NO_TRAFFIC: Traffic = {
  bytesIn: 0,
  bytesOut: 0,
  messagesIn: 0,
  messagesFor: 0,
  dropped: 0,
  latitude: null,
  longitude: null,
  addresses: [],
};
