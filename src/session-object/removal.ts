/**
 * Removes all that a session's object has: for good at once, or once the session has ended. The sweep asks
 * for it. A source session's object also does it by itself, since its row in D1 stays.
 */
import { openDatabase } from "../db/open";
import { removeJoinCode } from "../session/join-codes";
import { isFinal, joinCodeDrawOf, type Session } from "../session/session";
import { isLongOver } from "../session/timing";
import type { SessionClock } from "./clock";
import type { LoadedSession } from "./loaded-session";
import type { NodeLink } from "./node-link";

/** The object that is to be emptied. */
interface RemovalContext {
  ctx: { storage: DurableObjectStorage };
  env: Env;
  /** The deployment's secret: join codes are derived from it. */
  secret: string;
  clock: SessionClock;
  nodes: NodeLink;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
  /** The object has no session from now on. */
  forget(): void;
}

export class Removal {
  readonly #object: RemovalContext;

  constructor(object: RemovalContext) {
    this.#object = object;
  }

  /** As `SessionCalls.purge`. */
  async purge(): Promise<void> {
    const { ctx, clock, nodes, current, forget } = this.#object;
    const loaded = current();
    // Emptying what is empty would cost a row too.
    if (!loaded && isEmpty(ctx.storage)) return;
    loaded?.hub.end("deleted");
    forget();
    if (loaded?.session.node && !isFinal(loaded.session)) {
      nodes.letGo(loaded.session.node, loaded.session, "deleted");
    }
    clock.forgetAlarm();
    // If this fails, the sweep finds the code when the session's longest life would be over.
    if (loaded) await this.#removeJoinCode(loaded.session);
    // Takes the alarm with it (compatibility date 2026-02-24 and later).
    await ctx.storage.deleteAll();
  }

  async #removeJoinCode(session: Session): Promise<void> {
    const { env, secret } = this.#object;
    const draw = joinCodeDrawOf(session);
    if (draw !== null) await removeJoinCode(openDatabase(env), secret, { id: session.id, draw });
  }

  /** As `SessionCalls.purgeEnded`. */
  async purgeEnded(): Promise<boolean> {
    const loaded = this.#object.current();
    if (!loaded) return true;
    if (!isFinal(loaded.session)) return false;
    if (loaded.journal.retry) {
      // Something has still to be told. The alarm does that, if it is not lost.
      this.#object.clock.setAlarm(loaded);
      return false;
    }
    await this.purge();
    return true;
  }

  /** Empties the object of a source session that ended a while ago, if D1 has its last state, and journals its events. */
  async purgeIfLongOver(now: number): Promise<void> {
    const loaded = this.#object.current();
    if (!loaded?.session.source || !isLongOver(loaded.session, now)) return;
    if (loaded.outbox.isDrained(loaded.session)) await this.purgeEnded();
  }
}

function isEmpty(storage: DurableObjectStorage): boolean {
  return storage.kv.list({ limit: 1 })[Symbol.iterator]().next().done === true;
}
