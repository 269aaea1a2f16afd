/** How large what a served Worker has stored is, read from the files in which the runtime keeps it. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The tables of D1 to which a session's life adds rows. */
const TABLES_OF_LIVES = ["sessions", "owed_events", "events", "deliveries"];

/** The bytes of all journals, as they are billed: whole pages. 0 if this version has none. */
export function journalSizes(state) {
  return databases(state, "JournalObject").reduce((sum, db) => {
    const { page_count } = db.prepare("pragma page_count").get();
    const { page_size } = db.prepare("pragma page_size").get();
    return sum + page_count * page_size;
  }, 0);
}

/** The bytes that the rows of lives take in D1, with their indexes, without what is free. */
export function tableSizes(state) {
  const names = TABLES_OF_LIVES.map((name) => `'${name}'`).join(", ");
  return databases(state, "D1DatabaseObject").reduce((sum, db) => {
    const { bytes } = db
      .prepare(
        `select coalesce(sum(pgsize - unused), 0) as bytes from dbstat
          join sqlite_master using (name) where tbl_name in (${names}) and ncell > 0`,
      )
      .get();
    return sum + bytes;
  }, 0);
}

/** The databases of the objects of a class. */
function databases(state, className) {
  return readdirSync(state, { recursive: true })
    .filter((path) => path.includes(className) && path.endsWith(".sqlite"))
    .map((path) => join(state, path))
    .filter((path) => statSync(path).size > 0)
    .map((path) => new DatabaseSync(path));
}
