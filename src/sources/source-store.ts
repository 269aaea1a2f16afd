/** Sources in D1. The operations of sources and of source sessions call it, and the sweep. */
import {
  type AnyColumn,
  and,
  desc,
  eq,
  getTableColumns,
  inArray,
  type SQL,
  sql,
} from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { SCANNED_ROWS } from "../db/scan";
import { connectors, sources, users } from "../db/schema/sources";
import { type Connector, MOCK_CONNECTOR, MOCK_TYPE } from "./connector";
import { connectorQuery } from "./connector-store";
import {
  type CountedPage,
  type IdRange,
  inRange,
  lastId,
  nextId,
  toCountedPage,
} from "./id-paging";
import { findNarrowest } from "./narrowest-filter";
import type { Source, SourceState } from "./source";
import { isUser } from "./user-store";

const { stateAt: _, ...sourceColumns } = getTableColumns(sources);

/** What tells a source from all others. */
export interface SourceIdentity {
  organisationId: number;
  userId: number;
  type: string;
  identifier: string;
}

/** A source with the connector of its type, or what is missing. */
export type FoundSource =
  | { ok: true; source: Source; connector: Connector | null }
  | { ok: false; missing: "user" | "connector" };

/**
 * Finds the source with this identity, or makes it, and finds the connector of its type: one round trip.
 * @param options.mustHaveConnector do not make a source of a type that nobody can verify
 * @param options.now Unix milliseconds
 */
export async function findOrMakeSource(
  db: Database,
  identity: SourceIdentity,
  { mustHaveConnector, now }: { mustHaveConnector: boolean; now: number },
): Promise<FoundSource> {
  const { organisationId, userId, type, identifier } = identity;
  const isBuiltIn = type === MOCK_TYPE;
  const userExists = sql`exists (select 1 from ${users} where organisation_id = ${organisationId} and id = ${userId})`;
  const verifiable =
    isBuiltIn || !mustHaveConnector
      ? sql`true`
      : sql`exists (select 1 from ${connectors} where organisation_id = ${organisationId} and type = ${type})`;
  const { registered, theUsers, found } = await runBatch(db, {
    registered: connectorQuery(db, organisationId, type),
    theUsers: db.select({ id: users.id }).from(users).where(isUser(organisationId, userId)),
    insertion: db
      .insert(sources)
      .select(
        sql`select ${organisationId}, ${nextId(sources, organisationId)}, ${userId}, ${type}, ${identifier},
          'unvalidated', ${now}, ${now} where ${userExists} and ${verifiable}`,
      )
      .onConflictDoNothing(),
    found: db
      .select(sourceColumns)
      .from(sources)
      .where(
        and(
          eq(sources.organisationId, organisationId),
          eq(sources.identifier, identifier),
          eq(sources.type, type),
          eq(sources.userId, userId),
        ),
      ),
  });
  const connector = isBuiltIn ? MOCK_CONNECTOR : (registered[0] ?? null);
  if (theUsers.length === 0) return { ok: false, missing: "user" };
  if (!connector && mustHaveConnector) return { ok: false, missing: "connector" };
  if (!found[0]) throw new Error("the source was not stored");
  return { ok: true, source: found[0], connector };
}

/** Sources by their ids. An id that the organisation has no source for is left out. */
export async function findSources(
  db: Database,
  organisationId: number,
  ids: readonly number[],
): Promise<Map<number, Source>> {
  if (ids.length === 0) return new Map();
  const list = sql`(select value from json_each(${JSON.stringify([...new Set(ids)])}))`;
  const rows = await db
    .select(sourceColumns)
    .from(sources)
    .where(and(eq(sources.organisationId, organisationId), inArray(sources.id, list)));
  return new Map(rows.map((row) => [row.id, row]));
}

/**
 * Deactivates a source, or makes a deactivated one active again.
 * @param now Unix milliseconds
 * @returns the source afterwards. A state that an admin has set is not changed.
 */
export async function setSourceState(
  db: Database,
  { organisationId, id }: Pick<Source, "organisationId" | "id">,
  state: "active" | "deactivated",
  now: number,
): Promise<Source | null> {
  const from: SourceState[] =
    state === "active" ? ["deactivated"] : ["unvalidated", "active", "locked"];
  const isSource = and(eq(sources.organisationId, organisationId), eq(sources.id, id));
  const { rows } = await runBatch(db, {
    change: db
      .update(sources)
      .set({ state, stateAt: now })
      .where(and(isSource, inArray(sources.state, from))),
    rows: db.select(sourceColumns).from(sources).where(isSource),
  });
  return rows[0] ?? null;
}

/** The filters of a list of sources. */
export interface SourceFilter {
  userId: number | undefined;
  identifier: string | undefined;
  type: string | undefined;
  state: SourceState | undefined;
}

/** A page that may end before it is full. */
export interface SourcePage extends CountedPage<Source> {
  /** The last source that was read, if the page ended there; the next page begins behind it. */
  stoppedAt: number | null;
}

/** A page of an organisation's sources, newest first. */
export async function listSources(
  db: Database,
  organisationId: number,
  filter: SourceFilter,
  range: IdRange,
): Promise<SourcePage> {
  const isOurs = eq(sources.organisationId, organisationId);
  const indexed: { index: SQL; condition: SQL }[] = [];
  const addFilter = <T>(value: T | undefined, column: AnyColumn, index: SQL) => {
    if (value !== undefined) indexed.push({ index, condition: eq(column, value) });
  };
  addFilter(filter.identifier, sources.identifier, sql`sources_identity`);
  addFilter(filter.userId, sources.userId, sql`sources_by_user`);
  addFilter(filter.state, sources.state, sql`sources_by_state`);
  addFilter(filter.type, sources.type, sql`sources_by_type`);
  // The index is named because SQLite would otherwise read the table in the order of the list.
  const rowsOf = ({ index, condition }: (typeof indexed)[number]) =>
    sql`from ${sources} indexed by ${index} where ${and(isOurs, condition)}`;
  const narrowest = indexed.length > 1 ? await findNarrowest(db, indexed.map(rowsOf)) : null;
  const chosen = indexed[narrowest ?? 0];
  const rest = and(
    ...indexed.filter((other) => other !== chosen).map(({ condition }) => condition),
  );
  const inIndex = chosen ? rowsOf(chosen) : sql`from ${sources} where ${isOurs}`;
  const inPlace = sql`${inIndex} and ${inRange(sql`${sources.id}`, range) ?? sql`true`} order by id desc`;
  const ids = sql`(select id from (select * ${inPlace} limit ${SCANNED_ROWS}) as ${sources}
    where ${rest ?? sql`true`} order by id desc limit ${range.limit + 1})`;
  // The last row that was tested, if the page was not full by then.
  const end = sql`(select id ${inPlace} limit ${rest ? sql`(select count(*) <= ${range.limit} from ${ids})` : 0}
    offset ${SCANNED_ROWS - 1})`;
  const { rows, total, ends } = await runBatch(db, {
    rows: db
      .select(sourceColumns)
      .from(sources)
      .where(and(isOurs, inArray(sources.id, ids)))
      .orderBy(desc(sources.id)),
    total: db.select({ last: lastId(sources, organisationId) }).from(sql`(select 1)`),
    ends: db.select({ id: sql<number>`id` }).from(end),
  });
  const page = toCountedPage(rows, range, indexed.length === 0 ? (total[0]?.last ?? 0) : null);
  const stoppedAt = ends[0]?.id ?? null;
  return stoppedAt === null
    ? { ...page, stoppedAt }
    : { ...page, hasMore: true, total: null, stoppedAt };
}

/**
 * Removes connectors, and up to `limit` users and as many sources, of a deleted organisation.
 * @returns how many users or sources were removed, whichever is more
 */
export async function removeSources(
  db: Database,
  organisationId: number,
  limit: number,
): Promise<number> {
  const pageOf = (table: typeof users | typeof sources) =>
    sql`organisation_id = ${organisationId} and id in (select id from ${table}
      where organisation_id = ${organisationId} limit ${limit})`;
  const { ofSources, ofUsers } = await runBatch(db, {
    ofSources: db.delete(sources).where(pageOf(sources)),
    ofUsers: db.delete(users).where(pageOf(users)),
    connectors: db.delete(connectors).where(eq(connectors.organisationId, organisationId)),
  });
  return Math.max(ofSources.meta.changes, ofUsers.meta.changes);
}
