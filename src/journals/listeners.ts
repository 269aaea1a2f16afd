/** Who listens to an organisation's events: a journal reads it from D1, and remembers it for a few seconds. */
import type { Database } from "../db/open";
import { withTimeout } from "../platform/wait";
import { findListeningEndpoints } from "../webhooks/endpoint-store";
import type { ListeningEndpoint } from "../webhooks/fan-out";

/**
 * How long a journal uses what it has read. A change of endpoints tells the journals of the day; where that
 * fails, they notice the change so much later.
 */
const LISTENERS_MS = 10_000;

/** The longest that a journal waits for D1. Shorter than its callers wait for the journal. */
export const D1_MS = 4_000;

export class Listeners {
  readonly #db: Database;
  readonly #organisationId: number;
  #known: { endpoints: readonly ListeningEndpoint[]; readAt: number } | null = null;
  /** The read that is under way: in a burst, one read is for all. */
  #reading: Promise<readonly ListeningEndpoint[]> | null = null;

  constructor(db: Database, organisationId: number) {
    this.#db = db;
    this.#organisationId = organisationId;
  }

  /**
   * The organisation's enabled endpoints. `now`: Unix milliseconds.
   * @throws when D1 fails or does not answer in time
   */
  async current(now: number): Promise<readonly ListeningEndpoint[]> {
    const known = this.#known;
    if (known && now >= known.readAt && now - known.readAt < LISTENERS_MS) return known.endpoints;
    this.#reading ??= this.#read(now);
    return this.#reading;
  }

  /** The endpoints have changed. */
  changed(): void {
    this.#known = null;
    // What began before the change is not for those who come after it.
    this.#reading = null;
  }

  #read(now: number): Promise<readonly ListeningEndpoint[]> {
    const found = findListeningEndpoints(this.#db, this.#organisationId);
    const reading = withTimeout(D1_MS, found).then(
      (endpoints) => {
        if (this.#reading === reading) {
          this.#known = { endpoints, readAt: now };
          this.#reading = null;
        }
        return endpoints;
      },
      (error) => {
        if (this.#reading === reading) this.#reading = null;
        throw error;
      },
    );
    return reading;
  }
}
