/**
 * Projects a session: writes its state to D1, where it can be listed. The session's object calls it after
 * each change. Every write has the version of the state: a late write, or one that comes twice, changes
 * nothing.
 *
 * `announced` is also the mark of the object's outbox. A row that says 7 was written after the events up
 * to version 7 had been recorded in their journal. So the object needs no write of its own to remember that.
 */
import { type FixedSql, fixedSql, fromDrizzle } from "../db/fixed-sql";
import type { Database } from "../db/open";
import { connectionStatements, deviceStatements } from "./connections-and-devices";
import { findRow, ProjectionStatements, type RowState } from "./projection-statements";
import { isFinal, type Session } from "./session";
import { endedOf } from "./session-key";
import { dueAt, expiringAt, nextCheckAt } from "./timing";

/** How long after the end of a session is due the sweep looks at it: the object's own alarm comes first. */
const SWEEP_GRACE_MS = 60_000;
/** How soon the sweep looks at a session whose events could not be recorded. */
const UNDRAINED_SWEEP_MS = 120_000;

/** What a projection needs besides the session. */
export interface ProjectionInput {
  /** All events up to this version are recorded in a journal. */
  announced: number;
  /** When a source session was last used, Unix milliseconds; null or absent: never. Kept once it has ended. */
  usedAt?: number | null;
  /** Unix milliseconds. */
  now: number;
  /** Statements for rows of other tables that follow from the session. They run in the same batch. */
  also?: readonly Parameters<typeof fromDrizzle>[1][];
}

/**
 * What D1 has of a session, as far as its object knows. `none`: no row, it was just made. `live`: its row is
 * live, with this `sweepAt`; `presence`: it may have rows of connections or devices.
 */
type InD1 = { is: "none" } | { is: "live"; sweepAt: number | null; presence: boolean };

/**
 * Projects one session, with no more statements than are needed for what D1 has. Lives as long as the object's
 * instance. D1 may have something else than it remembers, if D1 was restored. Then the row is not where it was
 * and all statements are run; or the sweep finds the session due, and has it written anew.
 */
export class SessionProjection {
  readonly #d1: FixedSql;
  /** Null: not known. */
  #inD1: InD1 | null;
  #writes = 0;

  /** @param isNew the session was made just now, and nothing was written of it yet */
  constructor(db: Database, { isNew }: { isNew: boolean }) {
    this.#d1 = fixedSql(db);
    this.#inD1 = isNew ? { is: "none" } : null;
  }

  /** Up to which version the events of the session are known to be recorded; null without a row. */
  async findAnnounced(session: Session): Promise<number | null> {
    const ended = endedOf(session);
    const found = ended === 0 ? null : await findRow(this.#d1, session, ended);
    if (found) return found.announced;
    const live = await findRow(this.#d1, session, 0);
    if (live && this.#writes === 0) {
      this.#inD1 = { is: "live", sweepAt: live.sweepAt, presence: true };
    }
    return live?.announced ?? null;
  }

  /**
   * Writes this state to D1, unless D1 has a later one.
   * @param anew rely on nothing that is remembered
   */
  async write(session: Session, input: ProjectionInput, { anew = false } = {}): Promise<void> {
    const known = anew ? null : this.#inD1;
    // Not known while the write is under way, nor if it fails: it may be done all the same.
    this.#inD1 = null;
    this.#writes += 1;
    const write = this.#writes;
    const row = rowOf(session, input);
    const isDone = known !== null && (await this.#writeKnown(session, row, input, known));
    if (!isDone) await this.#d1.batch(allStatements(this.#d1, session, row, input));
    // A write that was given up may end after a later one has begun: it says nothing of what D1 has now.
    if (write !== this.#writes || row.ended !== 0) return;
    this.#inD1 = { is: "live", sweepAt: row.sweepAt, presence: hasPresence(session) };
  }

  /** Runs only what is needed for what is known of D1; false where that was not so. */
  async #writeKnown(
    session: Session,
    row: RowState,
    input: ProjectionInput,
    known: InD1,
  ): Promise<boolean> {
    const statements = new ProjectionStatements(this.#d1, session, { row, now: input.now });
    const hadPresence = known.is === "live" && known.presence && hasLostUsers(session);
    const others = otherStatements(this.#d1, session, input, { hadPresence });
    if (known.is === "none") {
      if (row.ended !== 0) return false;
      // The row that is made says when the sweep looks at it.
      await this.#d1.batch([statements.countAppearing(), statements.upsert(), ...others]);
      return true;
    }
    const own = row.ended
      ? [statements.countEnding(), statements.move()]
      : [statements.change({ rescheduled: row.sweepAt !== known.sweepAt })];
    const results = await this.#d1.batch([...own, ...others]);
    return (results[own.length - 1]?.meta.changes ?? 0) > 0;
  }
}

/**
 * The statements that write this state, whatever D1 has; they change nothing if D1 has a later one.
 *
 * The counts are changed in the transaction in which a row appears or a live one ends: they cannot drift.
 *
 *     in D1         this state   `live`   `total` (source sessions only)
 *     no row        live         +1       +1
 *     no row        ended        0        +1
 *     live row      live         0        0   (repeated, or a later state)
 *     live row      ended        -1       0
 *     ended row     either       0        0   (repeated, or late)
 */
function allStatements(
  d1: FixedSql,
  session: Session,
  row: RowState,
  input: ProjectionInput,
): D1PreparedStatement[] {
  const statements = new ProjectionStatements(d1, session, { row, now: input.now });
  const isCounted = row.ended === 0 || session.source !== undefined;
  return [
    ...(isCounted ? [statements.countAppearing()] : []),
    ...(row.ended ? [statements.countEnding(), statements.move()] : []),
    statements.upsert(),
    statements.reschedule(),
    // Last, when the row says whether this state is the newest.
    ...otherStatements(d1, session, input, { hadPresence: hasLostUsers(session) }),
  ];
}

/**
 * What else follows from a session: rows of other tables, and which devices and connections it has.
 * @param hadPresence whether D1 may have devices or connections of users whom the session has lost
 */
function otherStatements(
  d1: FixedSql,
  session: Session,
  { also = [] }: ProjectionInput,
  { hadPresence }: { hadPresence: boolean },
): D1PreparedStatement[] {
  const devices = session.users.flatMap(({ deviceId }) => deviceId ?? []);
  const connections = session.users.flatMap(({ connectionId }) => connectionId ?? []);
  const left = (ids: readonly string[]) => (isFinal(session) ? [] : ids);
  return [
    ...also.map((statement) => fromDrizzle(d1, statement)),
    ...(hadPresence || devices.length > 0
      ? deviceStatements(d1, { session, ids: left(devices) })
      : []),
    ...(hadPresence || connections.length > 0
      ? connectionStatements(d1, { session, ids: left(connections) })
      : []),
  ];
}

/** Whether a user of the session has a device or a connection. */
function hasPresence({ users }: Session): boolean {
  return users.some(({ deviceId, connectionId }) => deviceId !== null || connectionId !== null);
}

/** Whether the session had users whom it has no more. */
function hasLostUsers({ users, nextUser }: Session): boolean {
  return nextUser !== users.length;
}

function rowOf(session: Session, { announced, usedAt = null, now }: ProjectionInput): RowState {
  return {
    ended: endedOf(session),
    endedAt: isFinal(session) ? session.endedAt : null,
    version: session.version,
    announced,
    sweepAt: sweepTime(session, announced, now),
    state: JSON.stringify(session),
    usedAt: session.source && isFinal(session) ? usedAt : null,
  };
}

function sweepTime(session: Session, announced: number, now: number): number | null {
  if (announced < session.version) return now + UNDRAINED_SWEEP_MS;
  if (isFinal(session)) return null;
  const end = dueAt(session, null) + SWEEP_GRACE_MS;
  return Math.min(end, expiringAt(session) ?? end, nextCheckAt(session, now) ?? end);
}
