/**
 * What a request gives to the functions of `devices/` and `pairing/`. Called by the operations of `/v1` and
 * of the RPC.
 */
import type { DeviceServices } from "../../devices/device-services";
import type { Call } from "../../http/request-context";
import { eventsOf, sessionsOf } from "../../http/services";

/** The database, secret, sessions and outbox of this request. */
export function deviceServices(c: Call): DeviceServices {
  return {
    db: c.get("db"),
    secret: c.get("config").secret,
    sessions: sessionsOf(c),
    events: eventsOf(c),
  };
}
