/**
 * Runs the calls on a session: finds it for the organisation that calls, does first what is due by now, has
 * a command decided, and answers when the change is announced.
 */
import { endedRefusal, type SessionCommand } from "../session/machine";
import { isFinal } from "../session/session";
import type { SessionResult } from "../session/session-calls";
import type { Announcer } from "./announcer";
import type { SessionClock } from "./clock";
import type { SessionCommands } from "./commands";
import { type LoadedSession, viewOf } from "./loaded-session";
import type { NodeLink } from "./node-link";
import type { SessionSockets } from "./sockets";
import type { UsageStore } from "./usage-store";

/** The object on which is called, with the parts of it that this needs. */
interface CallContext {
  commands: SessionCommands;
  clock: SessionClock;
  usage: UsageStore;
  nodes: NodeLink;
  announcer: Announcer;
  sockets: Pick<SessionSockets, "closeSilent" | "afterClosing">;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

/** There is no such session, or it belongs to another organisation. */
export const NOT_FOUND = { ok: false, refusal: { code: "not-found" } } as const;

export class CommandCalls {
  readonly #object: CallContext;

  constructor(object: CallContext) {
    this.#object = object;
  }

  /**
   * The current session, for a call of this organisation (null: of any). If its end was due, or another user
   * is to be its host by now, that is done first.
   * @returns null where there is none, or it belongs to another organisation
   */
  async currentFor(organisationId: number | null): Promise<LoadedSession | null> {
    const { commands, clock, announcer, sockets } = this.#object;
    const loaded = this.#object.current();
    if (!loaded || (organisationId !== null && loaded.session.organisationId !== organisationId)) {
      return null;
    }
    const now = Date.now();
    sockets.closeSilent(loaded, now);
    if (commands.doWhatIsDue(loaded, now)) {
      if (isFinal(loaded.session)) clock.setAlarm(loaded);
      await announcer.announce();
    }
    return loaded;
  }

  /** What a reader is answered of `currentFor`: the session with its figures, also those of its relay node. */
  async view(loaded: LoadedSession | null): Promise<SessionResult> {
    if (!loaded) return NOT_FOUND;
    const { session } = loaded;
    if (!session.node || isFinal(session)) return viewOf(loaded, session);
    return viewOf(loaded, session, { figures: await this.#object.nodes.figures(loaded) });
  }

  /** As `SessionCalls.use`. */
  async use(organisationId: number): Promise<SessionResult> {
    const { clock, usage } = this.#object;
    const loaded = await this.currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    const { session } = loaded;
    if (isFinal(session)) return { ok: false, refusal: endedRefusal(session) };
    if (session.status !== "active") {
      return { ok: false, refusal: { code: "not-active", status: session.status } };
    }
    const now = Date.now();
    loaded.usedAt = now;
    usage.saveUsedAt(now);
    clock.restartIdleTime(loaded, now);
    return viewOf(loaded, session);
  }

  /**
   * Runs a command.
   * @param toCommand makes the command of the session as it is then; null: the caller is told that there is
   *   no such session
   */
  async run(
    organisationId: number | null,
    toCommand: (loaded: LoadedSession, now: number) => SessionCommand | null,
  ): Promise<SessionResult> {
    const { commands, clock, nodes, announcer, sockets } = this.#object;
    const loaded = await this.currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    const now = Date.now();
    const command = toCommand(loaded, now);
    if (!command) return NOT_FOUND;
    const before = loaded.hub.size;
    const decision = commands.run(loaded, command, now);
    // Noted now, before an eviction can lose it.
    if (loaded.hub.size < before) sockets.afterClosing(loaded, now);
    if (!decision.ok) return decision;
    const isRepeat = decision.events.length === 0;
    clock.restartIdleTime(loaded, now);
    // As this command left it: others may change the session while this one is announced.
    const { session } = loaded;
    const [effectiveBy] = await Promise.all([
      isRepeat ? null : nodes.whenTold(),
      announcer.announce(),
    ]);
    return {
      ...viewOf(loaded, session, session.node ? { figures: null } : undefined),
      ...(isRepeat ? { isRepeat } : {}),
      ...(effectiveBy === null ? {} : { effectiveBy }),
    };
  }
}
