/** Applications in D1. The operations of applications, pairing and the sweep read and write them here. */
import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { applications } from "../db/schema/devices";
import { organisations } from "../db/schema/organisations";

/** The longest name of an application, in characters. */
export const LONGEST_APPLICATION_NAME = 100;

/** What devices pair with. Times are Unix milliseconds. */
export interface Application {
  id: string;
  organisationId: number;
  name: string;
  createdAt: number;
}

/** An application of an organisation. */
export interface ApplicationRef {
  organisationId: number;
  applicationId: string;
}

/** Stores an application. False: the id is taken, and nothing was stored. */
export async function insertApplication(db: Database, application: Application): Promise<boolean> {
  const stored = await db
    .insert(applications)
    .values(application)
    .onConflictDoNothing()
    .returning({ id: applications.id });
  return stored.length > 0;
}

/**
 * The statement that reads an application.
 * @param organisationId only an application of this organisation; null: of any organisation that is not
 *   deleted. Null is for the calls of devices, which send no API key
 */
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

/** The last application of a page. The next page begins behind it. */
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

/**
 * The application that an organisation made next after this one. The sweep goes through them this way.
 * @param after null: the first application is wanted
 * @returns null: there is none after it
 */
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

/** Removes the row of an application. Its devices and requests have rows of their own. */
export async function removeApplication(db: Database, id: string): Promise<void> {
  await db.delete(applications).where(eq(applications.id, id));
}
