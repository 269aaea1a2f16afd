/**
 * Very many rows behind each list of an organisation that has one of everything: in D1 as copies of what the
 * API has made, and in its journal of today. It would take too long by calls.
 */
import { journalOf, recordDelivered } from "./journal-rows";
import type { TestServer } from "./server";

/** What a table's copies have of their own: an SQL expression for each column, with `i` from 1 on. */
interface Copies {
  table: string;
  /** Which row is copied; `?1` is the organisation's id. */
  where: string;
  own: Record<string, string>;
}

/**
 * An id in the order of time, an hour and `i` milliseconds older than now: older than the one that is copied,
 * and young enough for retention.
 */
const HOUR_AGO = "printf('%012x', (unixepoch() - 3600) * 1000 - i)";
const OLDER_ID = `substr(${HOUR_AGO}, 1, 8) || '-' || substr(${HOUR_AGO}, 9) || '-7000-8000-000000000000'`;
/** One with another end. Its fourth digit from the end is not that of the original, which so stays apart. */
const SIMILAR_ID = `substr(id, 1, length(id) - 4)
  || case when substr(id, -4, 1) = 'f' then 'e' else 'f' end || printf('%03x', i)`;
const OF_ORGANISATION = "organisation_id = ?1";

const COPIES: readonly Copies[] = [
  {
    table: "applications",
    where: OF_ORGANISATION,
    own: { id: SIMILAR_ID, name: "'Copy ' || i", created_at: "created_at - i" },
  },
  ...["pending", "approved"].map((status) => ({
    table: "pairing_requests",
    where: `${OF_ORGANISATION} and status = '${status}'`,
    own: { id: `'pr-' || ${OLDER_ID}` },
  })),
  {
    table: "devices",
    where: `removed = 0 and application_id in (select id from applications where ${OF_ORGANISATION})`,
    own: { id: "printf('%064x', i)", created_at: "created_at - i" },
  },
  ...[
    { kind: "relay", id: "printf('%012x-S', i)" },
    { kind: "source", id: SIMILAR_ID },
  ].map(({ kind, id }) => ({
    table: "sessions",
    where: `${OF_ORGANISATION} and kind = '${kind}' and ended = 0`,
    own: {
      id,
      created_at: "created_at - i",
      state: `json_set(state, '$.id', ${id}, '$.createdAt', created_at - i)`,
      sweep_at: "null",
    },
  })),
  {
    table: "api_keys",
    where: "id = (select max(key_id) from organisation_keys where organisation_id = ?1)",
    own: {
      id: "id + i",
      name: "'Copy ' || i",
      name_folded: "'copy ' || i",
      token_short: "'drb_' || i",
    },
  },
  {
    table: "organisation_keys",
    where: `${OF_ORGANISATION} and key_id = (select max(key_id) from organisation_keys where ${OF_ORGANISATION})`,
    own: { key_id: "key_id + i" },
  },
  { table: "connections", where: OF_ORGANISATION, own: { connection_id: "'copy-' || i" } },
  {
    table: "relay_permissions",
    where: OF_ORGANISATION,
    own: { connection_id: "'copy-' || i" },
  },
  { table: "webhook_endpoints", where: OF_ORGANISATION, own: { id: SIMILAR_ID } },
  { table: "relay_nodes", where: OF_ORGANISATION, own: { id: SIMILAR_ID, name: "'Copy ' || i" } },
];

/** What an organisation may have a hundred of, and applications, of which nobody has a thousand. */
const FEW = ["webhook_endpoints", "relay_nodes", "applications"];

/**
 * Fills the lists of an organisation that has one of everything.
 * @param count how many of each; 98 of what there are few of
 */
export async function fillLists(
  server: TestServer,
  organisationId: number,
  count: number,
): Promise<void> {
  const { DB } = await server.bindings();
  await copyRows(DB, organisationId, count);
  const journal = await journalOf(server, organisationId);
  const data = { connection: { connectionId: "A", memo: "" } };
  await recordDelivered(journal, { organisationId, type: "connection.created", data }, count);
}

async function copyRows(db: D1Database, organisationId: number, count: number): Promise<void> {
  for (const { table, where, own } of COPIES) {
    const { results } = await db
      .prepare(`select name from pragma_table_info('${table}')`)
      .all<{ name: string }>();
    const columns = results.map(({ name }) => name);
    const values = columns.map((name) => own[name] ?? `one.${name}`);
    const limited = FEW.includes(table) ? Math.min(count, 98) : count;
    const { meta } = await db
      .prepare(
        `insert into ${table} (${columns.join(", ")})
         with recursive n (i) as (select 1 union all select i + 1 from n where i < ?2)
         select ${values.join(", ")} from (select * from ${table} where ${where} limit 1) one, n`,
      )
      .bind(organisationId, limited)
      .run();
    if (meta.changes !== limited) throw new Error(`${table} has no row to copy: ${where}`);
  }
  await db.batch([
    db
      .prepare(
        `update session_counts set live = live + ?2, total = total + ?2 where ${OF_ORGANISATION}`,
      )
      .bind(organisationId, count),
    db
      .prepare(`update connection_counts set registered = registered + ?2 where ${OF_ORGANISATION}`)
      .bind(organisationId, count),
    db
      .prepare(
        `update relay_permission_counts set send_enabled = send_enabled + ?2 where ${OF_ORGANISATION} and side = 'all'`,
      )
      .bind(organisationId, count),
  ]);
}
