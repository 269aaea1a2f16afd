/**
 * What a session's object stores (`SessionJournal`, which is no journal of the room `journals/`), and how it is
 * announced: first the events are recorded in the journal of their day, then the state is written to D1, with
 * the mark that they are recorded. A step that fails is repeated later. So no event is lost. The journal of the
 * day may be told of an event twice: it knows events by their id.
 */
import type { DomainEvent } from "../events/event";
import { withTimeout } from "../platform/wait";
import { evolve } from "./evolve";
import type { SessionEvent } from "./machine";
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
export interface SessionJournal {
  readonly v: 1;
  readonly base: Session | null;
  readonly events: readonly StoredEvent[];
  /** Set while announcing fails, or the relay node cannot be told. */
  readonly retry: DrainRetry | null;
}

/** What is remembered while announcing, or telling the relay node, fails. Times are Unix milliseconds. */
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
  /** Whether the relay node has to be told of the state as well. */
  readonly node?: boolean;
}

/** What an outbox calls. Each may throw; the object tries again later. */
export interface OutboxPorts {
  findAnnounced(session: Session): Promise<number | null>;
  /** Records them in their journals. */
  record(events: DomainEvent[]): Promise<void>;
  /** Writes the row in D1. `anew`: relying on nothing that is remembered of it. */
  project(session: Session, announced: number, how: { anew: boolean }): Promise<void>;
}

/** A port that takes longer has failed: an object must not wait for D1 or a journal for ever. */
const PORT_TIMEOUT_MS = 10_000;

/** The state that a journal stands for. */
export function replay(journal: SessionJournal): Session | null {
  return journal.events.reduce<Session | null>(
    (state, { event }) => evolve(state, event),
    journal.base,
  );
}

/** Drains one session's journal. Lives as long as the object's instance. */
export class SessionOutbox {
  readonly #ports: OutboxPorts;
  /** Events up to this version are recorded; null: unknown since the object was evicted. */
  #announced: number | null;
  /** Up to this version the state is taken as projected: there is nothing to write. */
  #projected = 0;
  /** D1 has the state of this version, even if its events are not recorded yet. */
  #inD1 = 0;

  constructor(ports: OutboxPorts, announced: number | null) {
    this.#ports = ports;
    this.#announced = announced;
  }

  /** True when nothing is left to announce: all events are recorded, and the state is projected. */
  isDrained(session: Session): boolean {
    return (this.#announced ?? -1) >= session.version && this.#projected >= session.version;
  }

  /** True when D1 is known to have this state. Then the session is found there by its devices and connections. */
  isInD1(session: Session): boolean {
    return this.#inD1 >= session.version;
  }

  /** The journal with new events. Events that are known to be announced become part of its base. */
  append(journal: SessionJournal, added: readonly StoredEvent[]): SessionJournal {
    const announced = this.#announced ?? 0;
    const done = journal.events.filter(({ event }) => event.version <= announced);
    const base = done.reduce<Session | null>(
      (state, { event }) => evolve(state, event),
      journal.base,
    );
    return { ...journal, base, events: [...journal.events.slice(done.length), ...added] };
  }

  /**
   * Announces all of the journal.
   * @param reproject write the row in D1 even when it should be right already
   * @throws what a port threw; the outbox remembers what was done before
   */
  async drain(journal: SessionJournal, { reproject }: { reproject: boolean }): Promise<void> {
    const session = replay(journal);
    if (session === null) return;
    if (this.#announced === null) {
      const found = await withTimeout(PORT_TIMEOUT_MS, this.#ports.findAnnounced(session));
      this.#announced = found ?? journal.base?.version ?? 0;
      this.#projected = this.#announced;
      this.#inD1 = found ?? 0;
    }
    if (this.#announced < session.version) {
      try {
        await withTimeout(
          PORT_TIMEOUT_MS,
          this.#ports.record(this.#owed(journal, this.#announced)),
        );
        this.#announced = session.version;
      } catch (error) {
        // D1 still gets the new state, and the row tells the sweep that events are owed.
        await this.#project(session, this.#announced, { anew: reproject });
        throw error;
      }
    }
    if (this.#projected < session.version || reproject) {
      await this.#project(session, this.#announced, { anew: reproject });
      this.#projected = session.version;
    }
  }

  async #project(session: Session, announced: number, how: { anew: boolean }): Promise<void> {
    await withTimeout(PORT_TIMEOUT_MS, this.#ports.project(session, announced, how));
    this.#inD1 = session.version;
  }

  #owed(journal: SessionJournal, announced: number): DomainEvent[] {
    const owed: DomainEvent[] = [];
    let state = journal.base;
    for (const { id, event } of journal.events) {
      state = evolve(state, event);
      if (event.version <= announced) continue;
      owed.push({
        id,
        organisationId: state.organisationId,
        type: event.type,
        at: event.at,
        data: { session: state },
      });
    }
    return owed;
  }
}
