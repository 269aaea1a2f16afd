/**
 * Announces what a session's object has stored: drains the session's outbox, tries again later when
 * that fails, and lets callers wait for it, for a moment.
 */
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import { drainBackoffMs, nodeBackoffMs } from "../session/timing";
import type { SessionClock } from "./clock";
import type { LoadedSession } from "./loaded-session";

/** The caller waits this long for the announcement, so that a list right after shows the change. */
const ANNOUNCE_WAIT_MS = 2_000;

/** The object whose session is announced. */
interface AnnouncerContext {
  /** Keeps the object alive for what goes on behind the answer. */
  ctx: { waitUntil(work: Promise<unknown>): void };
  clock: SessionClock;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

export class Announcer {
  readonly #object: AnnouncerContext;
  /** The drain that runs. One runs at a time. */
  #draining: Promise<void> | null = null;

  constructor(object: AnnouncerContext) {
    this.#object = object;
  }

  /** Announces, but keeps the caller no longer than the bound: the rest happens behind the answer. */
  async announce(): Promise<void> {
    await withTimeout(ANNOUNCE_WAIT_MS, this.drain({ reproject: false })).catch(() => undefined);
  }

  /**
   * Drains the outbox until it is empty or fails. A failure plans another try. Never throws.
   * @param reproject write the row in D1 even when it should be right already
   */
  drain({ reproject }: { reproject: boolean }): Promise<void> {
    const loaded = this.#object.current();
    if (
      !loaded ||
      (!reproject && !loaded.journal.retry && loaded.outbox.isDrained(loaded.session))
    ) {
      return Promise.resolve();
    }
    this.#draining ??= this.#drainAll(reproject);
    this.#object.ctx.waitUntil(this.#draining);
    return this.#draining;
  }

  /**
   * Has D1 get the session's state if it does not have it yet, and waits for that a moment.
   * @returns whether D1 has it now
   */
  async ensureInD1(loaded: LoadedSession): Promise<boolean> {
    if (!loaded.outbox.isInD1(loaded.session)) await this.announce();
    return loaded.outbox.isInD1(loaded.session);
  }

  async #drainAll(reprojectFirst: boolean): Promise<void> {
    const { current, clock } = this.#object;
    try {
      for (let reproject = reprojectFirst; ; reproject = false) {
        const loaded = current();
        if (!loaded || (!reproject && loaded.outbox.isDrained(loaded.session))) break;
        await loaded.outbox.drain(loaded.journal, { reproject });
      }
      const loaded = current();
      // What the relay node has to be told is not done with this.
      if (loaded?.journal.retry && !loaded.journal.retry.node) clock.storeRetry(loaded, null);
    } catch (error) {
      const loaded = current();
      log("session outbox not drained", {
        session: loaded?.session.id,
        organisation: loaded?.session.organisationId,
        error: describeError(error),
      });
      if (loaded) this.#retryLater(loaded, Date.now());
    } finally {
      // In the same turn in which the outbox was seen to be empty: a later event starts a new drain.
      this.#draining = null;
    }
  }

  #retryLater(loaded: LoadedSession, now: number): void {
    const before = loaded.journal.retry;
    // A try that a command made in between neither brings the planned one forward nor puts it off.
    if (before && now < before.at) return;
    const attempt = (before?.attempt ?? -1) + 1;
    const backoffMs = before?.node ? nodeBackoffMs(attempt) : drainBackoffMs(attempt);
    this.#object.clock.retryAt(loaded, now + backoffMs, attempt);
  }
}
