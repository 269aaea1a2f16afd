/** Writes when a device was last seen. The verification of device tokens calls it. */
import { and, eq, sql } from "drizzle-orm";
import type { Database } from "../db/open";
import { devices } from "../db/schema/devices";
import { describeError, log } from "../platform/log";
import type { DeviceWithLastSeen } from "./device-store";

/** A device is written as seen at most this often: it is the only row that a verification writes. */
const SEEN_EVERY_MS = 60_000;

/**
 * Writes that a device was seen now, unless that was written within the last minute. The write happens
 * after the answer is sent. If it fails, nobody is refused, and the next verification writes it.
 * @param ctx keeps the Worker alive until the write is done
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

/** The condition is in the statement: of several verifications at the same moment, only one writes. */
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
