/**
 * What a session's object stores (`SessionLog`), and how it is announced: first the events go on the
 * queue, then the state is written to D1, with the mark that the events are there. A step that fails is
 * repeated later. So an event may be sent twice, but is never lost; consumers know events by their id.
 */
import type { DomainEvent } from "../events/event";
import { withTimeout } from "../platform/wait";
import { evolve, type SessionEvent } from "./machine";
import type { Session } from "./session";

/** An event with the id under which it is announced. */
export interface StoredEvent {
  readonly id: string;
  readonly event: SessionEvent;
}

/**
 * What the object stores: a state whose events are announced, and the events since then. The state now
 * is `base` with `events` applied. So outbox and state are one value, in one row.
 */
export interface SessionLog {
  readonly v: 1;
  readonly base: Session | null;
  readonly events: readonly StoredEvent[];
  /** Set while announcing fails. */
  readonly retry: DrainRetry | null;
}

/** What is remembered while announcing fails. Times are Unix milliseconds. */
export interface DrainRetry {
  /** How many planned tries have failed, from 0. */
  readonly attempt: number;
  /** When to try again. */
  readonly at: number;
  /**
   * When the session counts as idle, with slack. Otherwise the alarm says that, but now the alarm may be
   * set for the retry. Null: not known.
   */
  readonly idleAt: number | null;
}

/** Where an outbox sends to. Each may throw; the object tries again later. */
export interface OutboxPorts {
  findAnnounced(session: Session): Promise<number | null>;
  send(events: DomainEvent[]): Promise<void>;
  project(session: Session, announced: number): Promise<void>;
}

/** A port that takes longer has failed: an object must not wait for D1 or a queue for ever. */
const PORT_TIMEOUT_MS = 10_000;

/** The state that a log stands for. */
export function replay(log: SessionLog): Session | null {
  return log.events.reduce<Session | null>((state, { event }) => evolve(state, event), log.base);
}

/** Drains one session's log. Lives as long as the object's instance. */
export class SessionOutbox {
  readonly #ports: OutboxPorts;
  /** Events up to this version are on the queue; null: unknown since the object was evicted. */
  #announced: number | null;
  /** D1 shows this version and all its events as announced. */
  #projected = 0;
  /** D1 shows this version, announced or not. */
  #shown = 0;

  constructor(ports: OutboxPorts, announced: number | null) {
    this.#ports = ports;
    this.#announced = announced;
  }

  /** True when everything in the log is known to be announced. */
  isDrained(session: Session): boolean {
    return (this.#announced ?? -1) >= session.version && this.#projected >= session.version;
  }

  /** True when D1 is known to show this state: it is found there by its devices and connections. */
  isShown(session: Session): boolean {
    return this.#shown >= session.version;
  }

  /** The log with new events. Events that are known to be announced become part of its base. */
  append(log: SessionLog, added: readonly StoredEvent[]): SessionLog {
    const announced = this.#announced ?? 0;
    const done = log.events.filter(({ event }) => event.version <= announced);
    const base = done.reduce<Session | null>((state, { event }) => evolve(state, event), log.base);
    return { ...log, base, events: [...log.events.slice(done.length), ...added] };
  }

  /**
   * Announces all of the log.
   * @param reproject write the row in D1 also when it should be right already
   * @throws what a port threw; the outbox remembers what was done before
   */
  async drain(log: SessionLog, { reproject }: { reproject: boolean }): Promise<void> {
    const session = replay(log);
    if (session === null) return;
    if (this.#announced === null) {
      const found = await withTimeout(PORT_TIMEOUT_MS, this.#ports.findAnnounced(session));
      this.#announced = found ?? log.base?.version ?? 0;
      this.#projected = this.#announced;
      this.#shown = found ?? 0;
    }
    if (this.#announced < session.version) {
      try {
        await withTimeout(PORT_TIMEOUT_MS, this.#ports.send(this.#unsent(log, this.#announced)));
        this.#announced = session.version;
      } catch (error) {
        // The list still shows the new state, and the row tells the sweep that events are owed.
        await this.#project(session, this.#announced);
        throw error;
      }
    }
    if (this.#projected < session.version || reproject) {
      await this.#project(session, this.#announced);
      this.#projected = session.version;
    }
  }

  async #project(session: Session, announced: number): Promise<void> {
    await withTimeout(PORT_TIMEOUT_MS, this.#ports.project(session, announced));
    this.#shown = session.version;
  }

  #unsent(log: SessionLog, announced: number): DomainEvent[] {
    const unsent: DomainEvent[] = [];
    let state = log.base;
    for (const { id, event } of log.events) {
      state = evolve(state, event);
      if (event.version <= announced) continue;
      unsent.push({
        id,
        organisationId: state.organisationId,
        type: event.type,
        at: event.at,
        data: { session: state },
      });
    }
    return unsent;
  }
}
