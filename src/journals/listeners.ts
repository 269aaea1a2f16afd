/** Who listens to an organisation's events: a journal reads it from D1, and remembers it for a few seconds. */
import type { Database } from "../db/open";
import { findListeningEndpoints } from "../webhooks/endpoint-store";
import type { ListeningEndpoint } from "../webhooks/fan-out";

/**
 * How long a journal uses what it has read. A change of endpoints tells the journals of the day; where that
 * fails, they notice the change so much later.
 */
export const LISTENERS_MS = 10_000;

export class Listeners {
  readonly #db: Database;
  readonly #organisationId: number;
  #known: { endpoints: readonly ListeningEndpoint[]; readAt: number } | null = null;
  /** Rises with each change, so that a read that began before it is not remembered. */
  #changes = 0;

  constructor(db: Database, organisationId: number) {
    this.#db = db;
    this.#organisationId = organisationId;
  }

  /** The organisation's enabled endpoints. `now`: Unix milliseconds. */
  async current(now: number): Promise<readonly ListeningEndpoint[]> {
    const known = this.#known;
    if (known && now >= known.readAt && now - known.readAt < LISTENERS_MS) return known.endpoints;
    const before = this.#changes;
    const endpoints = await findListeningEndpoints(this.#db, this.#organisationId);
    if (before === this.#changes) this.#known = { endpoints, readAt: now };
    return endpoints;
  }

  /** The endpoints have changed. */
  changed(): void {
    this.#changes += 1;
    this.#known = null;
  }
}
