/**
 * What a request gives to the functions of `devices/` and `pairing/`. Called by the routes of `/v1` and
 * of the RPC.
 */
import type { DeviceDeps } from "../../devices/operator";
import type { Call } from "../../http/request-context";

/** The database, secret, sessions and outbox of this request. */
export function deviceServices(c: Call): DeviceDeps {
  return {
    db: c.var.db,
    secret: c.var.config.secret,
    sessions: c.var.sessions,
    events: c.var.events,
  };
}
