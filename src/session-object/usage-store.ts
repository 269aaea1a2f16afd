/**
 * What the object stores beside the session's journal, and may lose a little of: the counters of sockets
 * that have closed, when users left, and when a source session was last used. Each is written now and then
 * only.
 */
import { NO_COUNTS } from "../relay/participant";
import type { Departure, Traffic } from "../session/session-calls";

/** Counters of closed sockets are written at most this often; an eviction in between loses the rest. */
const TRAFFIC_SAVE_MS = 5_000;
/** The time of the last use is written at most this often; an eviction in between loses the rest. */
const USED_SAVE_MS = 60_000;

/** What has the counters, and when users left: a `LoadedSession`. */
interface Counted {
  hub: { traffic: ReadonlyMap<number, Traffic> };
  departures: { all: ReadonlyMap<number, Departure>; isHere(n: number): boolean };
}

export class UsageStore {
  readonly #kv: SyncKvStorage;
  #trafficSavedAt = 0;
  /** When the leaving of these users was written last, by user. */
  readonly #leavingSavedAt = new Map<number, number>();
  /** The users of whom it is stored that they have a websocket. */
  #storedAsHere: ReadonlySet<number> = new Set();
  #usedSavedAt = 0;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  /** The counters that were stored, by user. */
  readTraffic(): ReadonlyMap<number, Traffic> {
    const stored = this.#kv.get<Map<number, Traffic>>("traffic") ?? new Map();
    this.#storedAsHere = new Set([...stored].flatMap(([n, { here }]) => (here ? n : [])));
    return stored;
  }

  /** Writes that this user has a websocket, unless that is stored: if the object dies, it was there until then. */
  saveHere(counted: Counted, n: number, now: number): void {
    if (this.#storedAsHere.has(n)) return;
    this.#save(counted, now);
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
    for (const n of leaving) this.#leavingSavedAt.set(n, now);
    this.#save(counted, now);
  }

  #save({ hub, departures }: Counted, now: number): void {
    const saved = new Map<number, Traffic>();
    for (const [n, { here: _, ...traffic }] of hub.traffic) {
      saved.set(n, departures.isHere(n) ? { ...traffic, here: true } : traffic);
    }
    for (const [n, left] of departures.all) {
      saved.set(n, { ...(saved.get(n) ?? NO_TRAFFIC), left });
    }
    if (saved.size === 0) return;
    this.#trafficSavedAt = now;
    this.#storedAsHere = new Set([...saved.keys()].filter((n) => departures.isHere(n)));
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
  ...NO_COUNTS,
  latitude: null,
  longitude: null,
  addresses: [],
};
