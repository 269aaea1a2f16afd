/** The secrets that sign the webhooks of sessions, of which each organisation has its own. */
import { and, eq, isNull } from "drizzle-orm";
import type { Database } from "../db/open";
import { ChangedMeanwhile, retryChange } from "../db/retry";
import { organisations } from "../db/schema/organisations";
import { rotateSecret, type SecretVersions } from "../outbound/signing-secrets";

/** The secrets of an organisation; null if it does not exist or was deleted. */
export async function findWebhookSecrets(db: Database, id: number): Promise<SecretVersions | null> {
  const rows = await db
    .select({
      version: organisations.webhookSecretVersion,
      previous: organisations.previousWebhookSecrets,
    })
    .from(organisations)
    .where(and(eq(organisations.id, id), isNull(organisations.deletedAt)));
  return rows[0] ?? null;
}

/**
 * Gives an organisation a new secret. The older secrets sign on for the grace, in milliseconds.
 * @throws ChangedMeanwhile when other rotations kept coming between, or the organisation is gone
 */
export async function rotateWebhookSecret(
  db: Database,
  id: number,
  graceMs: number,
  now: number,
): Promise<SecretVersions> {
  return retryChange(`the webhook secret of organisation ${id}`, async () => {
    const versions = await findWebhookSecrets(db, id);
    if (!versions) throw new ChangedMeanwhile(`organisation ${id} is gone`);
    const rotated = rotateSecret(versions, graceMs, now);
    const rows = await db
      .update(organisations)
      .set({
        webhookSecretVersion: rotated.version,
        previousWebhookSecrets: [...rotated.previous],
      })
      .where(
        and(eq(organisations.id, id), eq(organisations.webhookSecretVersion, versions.version)),
      )
      .returning({ id: organisations.id });
    return rows.length === 0 ? undefined : rotated;
  });
}
