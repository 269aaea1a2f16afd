/** When devices were last seen. */
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { devices } from "../db/schema/devices";
import { describeError, log } from "../platform/log";
import type { DeviceWithLastSeen } from "./device-store";

/** A device is noted as seen at most this often: the row that it costs is the only one of a check. */
const SEEN_EVERY_MS = 60_000;

/**
 * Notes that a device was seen now, unless it was within the last minute. It is written behind the
 * answer: a write that fails refuses nobody, and the next check of a token tries it again.
 * @param ctx keeps the write alive behind the answer
 * @param now Unix milliseconds
 */
export function noteSeen(
  db: Database,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  device: DeviceWithLastSeen,
  now: number,
): void {
  if (device.lastSeenAt !== null && device.lastSeenAt > now - SEEN_EVERY_MS) return;
  ctx.waitUntil(
    writeLastSeen(db, device, now).catch((error) =>
      log("device's last seen not written", { error: describeError(error) }),
    ),
  );
}

/** Of checks at the same moment one writes: the condition is in the statement. */
async function writeLastSeen(db: Database, device: DeviceWithLastSeen, now: number): Promise<void> {
  await db
    .update(devices)
    .set({ lastSeenAt: now })
    .where(
      and(
        eq(devices.applicationId, device.applicationId),
        eq(devices.id, device.id),
        sql`coalesce(last_seen_at, 0) <= ${now - SEEN_EVERY_MS}`,
      ),
    );
}
