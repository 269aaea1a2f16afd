/** Applications in D1. */
import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { organisations } from "../db/schema/organisations";

/** What devices pair with. Times are Unix milliseconds. */
export interface Application {
  id: string;
  organisationId: number;
  name: string;
  createdAt: number;
}

/** Stores an application; false when the id is taken. */
export async function insertApplication(db: Database, application: Application): Promise<boolean> {
  const stored = await db
    .insert(applications)
    .values(application)
    .onConflictDoNothing()
    .returning({ id: applications.id });
  return stored.length > 0;
}

/** An application: of this organisation, or (null) of any that is not deleted, for what devices call. */
export function selectApplication(db: Database, organisationId: number | null, id: string) {
  return db
    .select({
      id: applications.id,
      organisationId: applications.organisationId,
      name: applications.name,
      createdAt: applications.createdAt,
    })
    .from(applications)
    .innerJoin(organisations, eq(organisations.id, applications.organisationId))
    .where(
      and(
        eq(applications.id, id),
        isNull(organisations.deletedAt),
        organisationId === null ? undefined : eq(applications.organisationId, organisationId),
      ),
    );
}

/** Where a page of applications begins: after this one. */
export type ApplicationPosition = Pick<Application, "createdAt" | "id">;

/** A page of an organisation's applications, newest first. */
export async function listApplications(
  db: Database,
  query: { organisationId: number; after: ApplicationPosition | null; limit: number },
): Promise<Application[]> {
  return db
    .select()
    .from(applications)
    .where(
      and(
        eq(applications.organisationId, query.organisationId),
        query.after === null
          ? undefined
          : sql`(${applications.createdAt}, ${applications.id}) < (${query.after.createdAt}, ${query.after.id})`,
      ),
    )
    .orderBy(desc(applications.createdAt), desc(applications.id))
    .limit(query.limit);
}

/** The application that an organisation made after this one (null: its first); null: there is none. */
export async function findNextApplication(
  db: Database,
  organisationId: number,
  after: ApplicationPosition | null,
): Promise<ApplicationPosition | null> {
  const rows = await db
    .select({ createdAt: applications.createdAt, id: applications.id })
    .from(applications)
    .where(
      and(
        eq(applications.organisationId, organisationId),
        after === null
          ? undefined
          : sql`(${applications.createdAt}, ${applications.id}) > (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(applications.createdAt, applications.id)
    .limit(1);
  return rows[0] ?? null;
}

/** Removes an application itself. */
export async function removeApplication(db: Database, id: string): Promise<void> {
  await db.delete(applications).where(eq(applications.id, id));
}
