/**
 * Records when keys were last used, without a write for each request. An isolate collects uses for some
 * seconds and writes them after an answer, many in one statement. It writes each key at most once a minute,
 * so the time that is shown is at most a minute too early.
 */
import { sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { organisationKeys } from "../db/schema/organisations";
import { dropOldest } from "../platform/bounded-memory";
import { describeError, log } from "../platform/log";
import { pause } from "../platform/wait";

/** Uses are collected this long. The platform lets work go on for 30 s after an answer (2026-11). */
const COLLECT_MS = 5_000;
/** After a write, a key is not written again for so long. With the time of collecting it is a minute. */
const QUIET_MS = 55_000;
/** Keys whose last write an isolate remembers. Above that, the oldest are forgotten. */
const REMEMBERED = 10_000;

interface Use {
  keyId: number;
  organisationId: number;
  /** Unix milliseconds. */
  at: number;
}

/** The uses that one isolate has to write. */
export class LastUseRecorder {
  #collected = new Map<string, Use>();
  readonly #writtenAt = new Map<string, number>();

  /**
   * Notes a use of a key.
   * @param ctx keeps the isolate's work going after the answer
   */
  note(db: Database, ctx: { waitUntil(promise: Promise<unknown>): void }, use: Use): void {
    const name = `${use.organisationId}/${use.keyId}`;
    const writtenAt = this.#writtenAt.get(name);
    const collecting = this.#collected.size > 0;
    if (this.#collected.has(name)) {
      this.#collected.set(name, use);
      return;
    }
    if (writtenAt !== undefined && Math.abs(use.at - writtenAt) < QUIET_MS) return;
    this.#collected.set(name, use);
    if (!collecting) ctx.waitUntil(this.#writeLater(db));
  }

  async #writeLater(db: Database): Promise<void> {
    await pause(COLLECT_MS);
    const uses = this.#collected;
    this.#collected = new Map();
    for (const [name, { at }] of uses) {
      this.#writtenAt.delete(name);
      this.#writtenAt.set(name, at);
      dropOldest(this.#writtenAt, REMEMBERED);
    }
    try {
      await writeLastUses(db, [...uses.values()]);
    } catch (error) {
      // The next use writes it. Nothing but a display depends on this time.
      for (const name of uses.keys()) this.#writtenAt.delete(name);
      log("last uses not written", { error: describeError(error) });
    }
  }
}

/** Several isolates write the same key: the latest time stays. */
async function writeLastUses(db: Database, uses: readonly Use[]): Promise<void> {
  await db.run(sql`update ${organisationKeys} set last_used_at = used.value ->> 'at'
    from json_each(${JSON.stringify(uses)}) as used
    where organisation_id = used.value ->> 'organisationId' and key_id = used.value ->> 'keyId'
      and coalesce(last_used_at, 0) < used.value ->> 'at'`);
}
