/** What a request gives to the functions of `relay-permissions/`. Called by the operations of this surface. */
import type { Call } from "../../http/request-context";
import { eventsOf, sessionsOf } from "../../http/services";
import type { PermissionServices } from "../../relay-permissions/manage-permissions";

/** The database, sessions and outbox of this request. */
export function permissionServices(c: Call): PermissionServices {
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  return { db: c.get("db"), sessions: sessionsOf(c), events: eventsOf(c), waitUntil };
}
