/**
 * Who listens to an organisation's events: its enabled endpoints. A journal remembers them for a few seconds, so
 * that not every event reads D1.
 */
import type { Database } from "../db/open";
import { withTimeout } from "../platform/wait";
import { findListeningEndpoints } from "../webhooks/endpoint-store";
import type { ListeningEndpoint } from "../webhooks/fan-out";

/**
 * How long a journal uses what it has read. Whoever changes an endpoint tells the journals of the day. Where that
 * fails, they notice the change after this time at the latest.
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
    // A read that began before the change may not see it: those who ask from now on must not get its answer.
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
