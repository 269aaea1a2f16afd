/** Users in D1. Sources belong to them. */
import { and, desc, eq, ne, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { users } from "../db/schema/sources";
import {
  type CountedPage,
  type IdRange,
  inRange,
  lastId,
  nextId,
  toCountedPage,
} from "./id-paging";

/** A person or account at an organisation. */
export interface User {
  id: number;
  organisationId: number;
  /** The organisation's own name for them. */
  identifier: string;
  /** Unix milliseconds. */
  createdAt: number;
}

/** Finds the user with this identifier, or makes it. `now`: Unix milliseconds. */
export async function findOrMakeUser(
  db: Database,
  organisationId: number,
  identifier: string,
  now: number,
): Promise<User> {
  const { found } = await runBatch(db, {
    insertion: db
      .insert(users)
      .select(
        sql`select ${organisationId}, ${nextId(users, organisationId)}, ${identifier}, ${now} where true`,
      )
      .onConflictDoNothing(),
    found: db
      .select()
      .from(users)
      .where(and(eq(users.organisationId, organisationId), eq(users.identifier, identifier))),
  });
  if (!found[0]) throw new Error("the user was not stored");
  return found[0];
}

export async function findUser(
  db: Database,
  organisationId: number,
  id: number,
): Promise<User | null> {
  const rows = await db.select().from(users).where(isUser(organisationId, id));
  return rows[0] ?? null;
}

/** Changes the identifier of a user. `taken`: another user has it; null: there is no such user. */
export async function renameUser(
  db: Database,
  organisationId: number,
  id: number,
  identifier: string,
): Promise<User | "taken" | null> {
  const free = sql`not exists (select 1 from ${users} as other where other.organisation_id = ${organisationId}
    and other.identifier = ${identifier} and other.id <> ${id})`;
  const { rows } = await runBatch(db, {
    change: db
      .update(users)
      .set({ identifier })
      .where(and(isUser(organisationId, id), ne(users.identifier, identifier), free)),
    rows: db.select().from(users).where(isUser(organisationId, id)),
  });
  const user = rows[0];
  if (!user) return null;
  return user.identifier === identifier ? user : "taken";
}

/** A page of an organisation's users, newest first. */
export async function listUsers(
  db: Database,
  organisationId: number,
  filter: { identifier: string | undefined },
  range: IdRange,
): Promise<CountedPage<User>> {
  const { identifier } = filter;
  const { rows, total } = await runBatch(db, {
    rows: db
      .select()
      .from(users)
      .where(
        and(
          eq(users.organisationId, organisationId),
          identifier === undefined ? undefined : eq(users.identifier, identifier),
          inRange(sql`${users.id}`, range),
        ),
      )
      .orderBy(desc(users.id))
      .limit(range.limit + 1),
    total: db.select({ last: lastId(users, organisationId) }).from(sql`(select 1)`),
  });
  return toCountedPage(rows, range, identifier === undefined ? (total[0]?.last ?? 0) : null);
}

/** The condition that a row is this user. */
export function isUser(organisationId: number, id: number) {
  return and(eq(users.organisationId, organisationId), eq(users.id, id));
}
