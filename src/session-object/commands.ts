/**
 * Has the machine decide a command, and commits what comes of it. Nothing else changes the state of a
 * session. The session's object calls it.
 */
import { newEventId } from "../events/event";
import { hostMigrationAt, nextHost } from "../session/host-migration";
import { type Decision, decide, type SessionCommand, type SessionEvent } from "../session/machine";
import { hostOf } from "../session/session";
import type { SessionJournal, StoredEvent } from "../session/session-outbox";
import { endDue, expiringAt } from "../session/timing";
import { type LoadedSession, seatUseOf, stateOf } from "./loaded-session";
import type { NodeLink } from "./node-link";
import type { OutcomeWaiters } from "./outcome-waiters";

export class SessionCommands {
  readonly #storage: DurableObjectStorage;
  readonly #outcomeWaiters: OutcomeWaiters;
  readonly #nodes: NodeLink;

  constructor(
    storage: DurableObjectStorage,
    { outcomeWaiters, nodes }: { outcomeWaiters: OutcomeWaiters; nodes: NodeLink },
  ) {
    this.#storage = storage;
    this.#outcomeWaiters = outcomeWaiters;
    this.#nodes = nodes;
  }

  /** Makes a session, and stores its first journal. */
  create(
    command: Extract<SessionCommand, { type: "create" }>,
    now: number,
  ): { ok: true; journal: SessionJournal } | Extract<Decision, { ok: false }> {
    const decision = decide(null, command, now);
    if (!decision.ok) return decision;
    const journal = {
      v: 1,
      base: null,
      events: withIds(decision.events, now),
      retry: null,
    } as const;
    this.#store(journal);
    return { ok: true, journal };
  }

  /** Runs a command. What it changes is stored, and the sockets are told, before this returns. */
  run(loaded: LoadedSession, command: SessionCommand, now: number): Decision {
    const decision = decide(loaded.session, command, now);
    // A command that was given before is accepted without an event.
    if (decision.ok && decision.events.length > 0) this.#commit(loaded, decision.events, now);
    return decision;
  }

  /** Ends the session if its time is over; true if it did. So a late alarm changes nothing for callers. */
  endIfDue(loaded: LoadedSession, now: number): boolean {
    // A session on a relay node is idle when the node says so.
    const isInUse = loaded.hub.size > 0 || loaded.session.node !== undefined;
    const end = endDue(loaded.session, isInUse ? null : loaded.idleAt, now);
    return end !== null && this.run(loaded, end, now).ok;
  }

  /**
   * Makes a connected user the host if the host has been gone for long enough; true if it did. So a late
   * alarm changes nothing for callers.
   */
  migrateHostIfDue(loaded: LoadedSession, now: number): boolean {
    const { session, hub } = loaded;
    const at = hostMigrationAt(session, seatUseOf(loaded, hostOf(session)));
    if (at === null || now < at) return false;
    const n = nextHost(session, (user) => hub.isConnected(user));
    return n !== null && this.run(loaded, { type: "assign-host", n }, now).ok;
  }

  /** Does what the time has come for; true if something changed. */
  doWhatIsDue(loaded: LoadedSession, now: number): boolean {
    return this.endIfDue(loaded, now) || this.migrateHostIfDue(loaded, now);
  }

  /** Makes the event that a session is about to expire, if it is time for that. */
  warnIfExpiring(loaded: LoadedSession, now: number): void {
    const at = expiringAt(loaded.session);
    if (at !== null && now >= at) this.run(loaded, { type: "warn" }, now);
  }

  /** Stores state and outbox in one write, then does to the sockets what the events mean. */
  #commit(loaded: LoadedSession, events: readonly SessionEvent[], now: number): void {
    const journal = loaded.outbox.append(loaded.journal, withIds(events, now));
    const session = stateOf(journal);
    const hostBefore = hostOf(loaded.session);
    this.#store(journal);
    loaded.journal = journal;
    loaded.session = session;
    for (const event of events) applyToSockets(loaded, event, hostBefore);
    // A node that has just taken the session knows it.
    if (events.some(({ type }) => type !== "session.active")) this.#nodes.tell(loaded);
    if (session.status !== "pending") this.#outcomeWaiters.resolveAll();
  }

  #store(journal: SessionJournal): void {
    this.#storage.kv.put("session", journal);
  }
}

function withIds(events: readonly SessionEvent[], now: number): StoredEvent[] {
  // Rising: ids of the same moment are else in any order, and lists are in the order of the ids.
  const ids = events.map(() => newEventId(now)).sort();
  return events.map((event, i) => ({ id: ids[i] ?? newEventId(now), event }));
}

/** Closes the sockets that may not stay open after an event, and tells those that it changes. */
function applyToSockets(loaded: LoadedSession, event: SessionEvent, hostBefore: number): void {
  const { hub, departures } = loaded;
  if (event.type === "session.user_revoked") {
    hub.expel(event.n, "revoked");
    departures.forget(event.n);
  } else if (event.type === "session.user_released") {
    hub.expel(event.n, "seat taken");
    departures.forget(event.n);
  } else if (event.type === "session.host_changed") {
    hub.hostChanged(hostBefore, event.n);
  } else if (event.type === "session.expired") hub.end(event.reason);
  else if (event.type === "session.failed") hub.end(event.error);
}
