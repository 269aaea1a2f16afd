/**
 * The part `growth`: how many rows calls read with few rows in the tables, and with many. A page has to cost a page.
 * Each subject has a server of its own. Rows are the same on every machine.
 */
import { COUNTED } from "./checks.mjs";
import { quietCounts } from "./counts.mjs";
import { columnsOf, Fixtures } from "./fixtures.mjs";
import { SUBJECTS } from "./growth-subjects.mjs";
import { send } from "./http-client.mjs";
import { rootHeaders, serve } from "./server.mjs";

/** A key is remembered for ten seconds. */
const FORGET_MS = 20_000;
/** Measured with every subject. */
const CRON_JOB = "a minute of the cron job, with nothing due";
/** Rows that are inserted by one statement. */
const CHUNK = 50_000;

/**
 * Counts the rows that are read at each size.
 * @param sizes the numbers of rows, from few to many
 * @returns a row for each subject and call: `read`, in the order of the sizes, and its `floor` (see `checkGrowth`)
 */
export async function measureGrowth(built, sizes) {
  const rows = [];
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const found = await readsOf(built, subject, sizes);
    for (const [call, facts] of Object.entries(found))
      rows.push({ name: `${name}: ${call}`, ...facts });
  }
  return rows;
}

/** What is read at each size, by call. */
async function readsOf(built, subject, sizes) {
  const server = await serve(built, {}, { counted: true });
  try {
    const at = await placeOf(server);
    const found = {};
    const note = (name, floor, rows) => {
      found[name] ??= { floor, read: [] };
      found[name].read.push(rows);
    };
    await subject.make?.(at);
    for (const [i, size] of sizes.entries()) {
      at.range = { from: (sizes[i - 1] ?? 0) + 1, to: size };
      await subject.grow(at, size - at.range.from + 1, at.range);
      for (const [name, read] of Object.entries(subject.reads(at, size))) {
        // The first one may find caches that are empty.
        await (await toCall(read))();
        note(name, read.floor, await rowsRead(server, await toCall(read)));
      }
      note(CRON_JOB, undefined, await rowsRead(server, () => server.runCron()));
    }
    return found;
  } finally {
    await server.stop();
  }
}

async function toCall({ prepare, make, call }) {
  const made = make ? await make() : call;
  await prepare?.();
  return made;
}

async function rowsRead(server, call) {
  const before = await quietCounts(server);
  await call();
  const after = await quietCounts(server);
  const read = COUNTED.filter((what) => what.endsWith("Read"));
  return read.reduce((sum, what) => sum + after[what] - before[what], 0);
}

/** What the subjects use. `range`: which copies there are to be next, by their number. */
async function placeOf(server) {
  const fixtures = await Fixtures.make(server);
  const db = await server.mf.getD1Database("DB");
  const run = (text, ...values) =>
    db
      .prepare(text)
      .bind(...values)
      .run();
  let aheadMs = 0;
  server.forgetKeys = () => {
    aheadMs += FORGET_MS;
    return server.setClockAhead(aheadMs);
  };
  const at = {
    server,
    fixtures,
    run,
    range: null,
    list: (path) => fixtures.call("GET", path),
    asRoot: (path) => send({ url: `${server.url}${path}`, headers: rootHeaders }),
    /** Copies the first row for which `where` holds. `own`: what the copies have of their own, by their number `i`. */
    async copy(table, where, own) {
      const columns = await columnsOf(db, table);
      const values = columns.map((name) => own[name] ?? `one.${name}`);
      for (let { from } = at.range; from <= at.range.to; from += CHUNK) {
        const to = Math.min(at.range.to, from + CHUNK - 1);
        const { meta } = await run(
          `insert into ${table} (${columns.join(", ")})
            with recursive n (i) as (select ?1 union all select i + 1 from n where i < ?2)
            select ${values.join(", ")} from (select * from ${table} where ${where} limit 1) one, n`,
          from,
          to,
        );
        if (meta.changes !== to - from + 1) throw new Error(`${table} has no row: ${where}`);
      }
    },
  };
  return at;
}
