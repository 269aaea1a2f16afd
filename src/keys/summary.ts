/** API keys as those who may use the API see them: nothing that opens anything. */
import { and, eq } from "drizzle-orm";
import type { Database } from "../db/open";
import { apiKeys, organisationKeys } from "../db/schema";

/** What an organisation may see of one of its keys. Times are Unix milliseconds. */
export interface KeySummary {
  id: number;
  name: string;
  permissions: readonly string[];
  blocked: boolean;
  createdAt: number;
  expiresAt: number | null;
}

/** A key that acts in this organisation; null if there is none with this id. */
export async function findKeySummary(
  db: Database,
  organisationId: number,
  id: number,
): Promise<KeySummary | null> {
  const rows = await db
    .select({
      id: apiKeys.id,
      name: apiKeys.name,
      permissions: apiKeys.permissions,
      blocked: apiKeys.blocked,
      createdAt: apiKeys.createdAt,
      expiresAt: apiKeys.expiresAt,
    })
    .from(organisationKeys)
    .innerJoin(apiKeys, eq(apiKeys.id, organisationKeys.keyId))
    .where(
      and(eq(organisationKeys.organisationId, organisationId), eq(organisationKeys.keyId, id)),
    );
  return rows[0] ?? null;
}
