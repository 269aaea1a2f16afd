/**
 * When keys were last used, without a write for each request: uses are gathered in the isolate and
 * written behind an answer, many in one statement. A key is written at most once a minute, and what is
 * shown is at most a minute late.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { organisationKeys } from "../db/schema/organisations";
import { describeError, log } from "../platform/log";
import { pause } from "../platform/wait";

/** Uses are gathered this long. The platform lets work behind an answer run for 30 s (2026-11). */
const GATHER_MS = 5_000;
/** A key that was written is left alone this long: with the gathering, a minute. */
const QUIET_MS = 55_000;
/** Keys remembered as written; above it the oldest go. */
const REMEMBERED = 10_000;

interface Use {
  keyId: number;
  organisationId: number;
  /** Unix milliseconds. */
  at: number;
}

/** Gathers the uses of one isolate. */
export class LastUseRecorder {
  #gathered = new Map<string, Use>();
  readonly #writtenAt = new Map<string, number>();

  /**
   * Notes a use.
   * @param ctx keeps the gathering alive behind the answer
   */
  note(db: Database, ctx: { waitUntil(promise: Promise<unknown>): void }, use: Use): void {
    const name = `${use.organisationId}/${use.keyId}`;
    const writtenAt = this.#writtenAt.get(name);
    const gathering = this.#gathered.size > 0;
    if (this.#gathered.has(name)) {
      this.#gathered.set(name, use);
      return;
    }
    if (writtenAt !== undefined && Math.abs(use.at - writtenAt) < QUIET_MS) return;
    this.#gathered.set(name, use);
    if (!gathering) ctx.waitUntil(this.#writeLater(db));
  }

  async #writeLater(db: Database): Promise<void> {
    await pause(GATHER_MS);
    const uses = this.#gathered;
    this.#gathered = new Map();
    for (const [name, { at }] of uses) {
      this.#writtenAt.delete(name);
      this.#writtenAt.set(name, at);
    }
    for (const name of this.#writtenAt.keys()) {
      if (this.#writtenAt.size <= REMEMBERED) break;
      this.#writtenAt.delete(name);
    }
    try {
      await writeLastUses(db, [...uses.values()]);
    } catch (error) {
      // The next use writes it: this figure is for people, and none of it is owed to anyone.
      for (const name of uses.keys()) this.#writtenAt.delete(name);
      log("last uses not written", { error: describeError(error) });
    }
  }
}

/** Several isolates write: the latest time stays. */
async function writeLastUses(db: Database, uses: readonly Use[]): Promise<void> {
  await db.run(sql`update ${organisationKeys} set last_used_at = used.value ->> 'at'
    from json_each(${JSON.stringify(uses)}) as used
    where organisation_id = used.value ->> 'organisationId' and key_id = used.value ->> 'keyId'
      and coalesce(last_used_at, 0) < used.value ->> 'at'`);
}
