/**
 * The SQL of a session's projection: the statements that write its row and the counts. `projection.ts` says
 * which of them are needed. They run for each change of each session, so their text is fixed.
 */
import type { FixedSql } from "../db/fixed-sql";
import type { Session } from "./session";
import { type Ended, mayHaveEndedAs } from "./session-key";

/** What a session's row holds beside its key. Times are Unix milliseconds. */
export interface RowState {
  ended: Ended;
  endedAt: number | null;
  version: number;
  announced: number;
  sweepAt: number | null;
  state: string;
  usedAt: number | null;
}

// ?1 to ?4 are the key of the row, in every statement. What follows them is in the order in which the methods of
// `ProjectionStatements` bind it.
const KEY = "organisation_id = ?1 and kind = ?2 and created_at = ?3 and id = ?4";
const LIVE = `${KEY} and ended = 0`;
const LIVE_ROW = `exists (select 1 from sessions where ${LIVE})`;
// One `exists` for each: D1 counts each value of an `in` as a row that it has read (2026-11).
const ENDED_ROW = ["?5", "?6", "?7"]
  .map((ended) => `exists (select 1 from sessions where ${KEY} and ended = ${ended})`)
  .join(" or ");

/** That a version and how far it is announced are newer than those of the row that is there. */
const newer = (version: string, announced: string) =>
  `(${version} > sessions.version or (${version} = sessions.version and ${announced} > sessions.announced))`;

const COUNT_APPEARING = `insert into session_counts (organisation_id, kind, live, total)
  select ?1, ?2, ?8, ?9 where not ${LIVE_ROW} and not (${ENDED_ROW})
  on conflict (organisation_id, kind) do update
  set live = live + excluded.live, total = total + excluded.total`;

const COUNT_ENDING = `insert into session_counts (organisation_id, kind, live, total)
  select organisation_id, kind, 0, ?5 from sessions where ${LIVE}
  on conflict (organisation_id, kind) do update set live = live - 1`;

const MOVE = `update sessions set ended = ?5, ended_at = ?6, version = ?7, announced = ?8, sweep_at = ?9,
  state = ?10, used_at = ?11 where ${LIVE} and ${newer("?7", "?8")}`;

const CHANGE = `update sessions set version = ?5, announced = ?6, state = ?7
  where ${LIVE} and ${newer("?5", "?6")}`;

const CHANGE_AND_RESCHEDULE = `update sessions set version = ?5, announced = ?6, state = ?7, sweep_at = ?8
  where ${LIVE} and ${newer("?5", "?6")}`;

const upsert = (values: string, condition: string) => `insert into sessions
  (organisation_id, kind, created_at, id, ended, ended_at, version, announced, sweep_at, state,
    key_id, user_id, source_id, used_at)
  select ?1, ?2, ?3, ?4, ${values} where ${condition}
  on conflict (kind, ended, organisation_id, created_at, id) do update
  set version = excluded.version, announced = excluded.announced, state = excluded.state
  where ${newer("excluded.version", "excluded.announced")}`;

const UPSERT_LIVE = upsert("0, null, ?8, ?9, ?10, ?11, ?12, ?13, ?14, null", `not (${ENDED_ROW})`);
const UPSERT_ENDED = upsert("?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14", "true");

const RESCHEDULE = `update sessions set sweep_at = ?8
  where ${KEY} and ended = ?5 and version = ?6 and announced = ?7 and sweep_at is not ?8`;

const FIND = `select announced, sweep_at as sweepAt from sessions where ${KEY} and ended = ?5`;

/** The statements of one state of one session. */
export class ProjectionStatements {
  readonly #d1: FixedSql;
  readonly #session: Session;
  readonly #row: RowState;
  /** As what an ended row of it may be there, should this state come late. */
  readonly #mayHaveEnded: readonly Ended[];

  /** @param now when the statements are sent, Unix milliseconds */
  constructor(d1: FixedSql, session: Session, { row, now }: { row: RowState; now: number }) {
    this.#d1 = d1;
    this.#session = session;
    this.#row = row;
    this.#mayHaveEnded = mayHaveEndedAs(session.kind, now);
  }

  /** Counts the session, if it has no row yet. An ended one counts only for the total of source sessions. */
  countAppearing(): D1PreparedStatement {
    const total = this.#session.source ? 1 : 0;
    return this.#prepare(COUNT_APPEARING, ...this.#mayHaveEnded, this.#row.ended ? 0 : 1, total);
  }

  /** Counts that a live session has ended, if its row is live yet. */
  countEnding(): D1PreparedStatement {
    return this.#prepare(COUNT_ENDING, this.#session.source ? 1 : 0);
  }

  /** `ended` is part of the primary key. So a session that ends has its live row moved to its new key. */
  move(): D1PreparedStatement {
    const { ended, endedAt, version, announced, sweepAt, state, usedAt } = this.#row;
    return this.#prepare(MOVE, ended, endedAt, version, announced, sweepAt, state, usedAt);
  }

  /** Changes the row of a live session, if it is there. `rescheduled`: also when the sweep looks at it. */
  change({ rescheduled }: { rescheduled: boolean }): D1PreparedStatement {
    const { version, announced, state, sweepAt } = this.#row;
    return rescheduled
      ? this.#prepare(CHANGE_AND_RESCHEDULE, version, announced, state, sweepAt)
      : this.#prepare(CHANGE, version, announced, state);
  }

  /** Writes the row, whether or not there is one. A late write of a live state must not appear beside an ended row. */
  upsert(): D1PreparedStatement {
    const { keyId, source } = this.#session;
    const { ended, endedAt, version, announced, sweepAt, state, usedAt } = this.#row;
    const filters = source ? [keyId, source.userId, source.sourceId] : [null, null, null];
    const values = [version, announced, sweepAt, state, ...filters];
    return ended
      ? this.#prepare(UPSERT_ENDED, ended, endedAt, ...values, usedAt)
      : this.#prepare(UPSERT_LIVE, ...this.#mayHaveEnded, ...values);
  }

  /**
   * Says when the sweep looks at the session. A separate statement: an update that names an indexed column
   * writes its index entry, even if it stays the same.
   */
  reschedule(): D1PreparedStatement {
    const { ended, version, announced, sweepAt } = this.#row;
    return this.#prepare(RESCHEDULE, ended, version, announced, sweepAt);
  }

  #prepare(sql: string, ...values: unknown[]): D1PreparedStatement {
    const { organisationId, kind, createdAt, id } = this.#session;
    return this.#d1.prepare(sql).bind(organisationId, kind, createdAt, id, ...values);
  }
}

/** What a session's row says of how far its events are recorded, and when the sweep looks at it; null: no such row. */
export async function findRow(
  d1: FixedSql,
  { organisationId, kind, createdAt, id }: Session,
  ended: Ended,
): Promise<Pick<RowState, "announced" | "sweepAt"> | null> {
  const { results } = await d1
    .prepare(FIND)
    .bind(organisationId, kind, createdAt, id, ended)
    .all<Pick<RowState, "announced" | "sweepAt">>();
  return results[0] ?? null;
}
