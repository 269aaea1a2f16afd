import type { DeviceDeps } from "../../devices/operator";
import type { Call } from "../../http/request-context";

/** What the work on devices stands on, in a request. */
export function deviceServices(c: Call): DeviceDeps {
  return {
    db: c.var.db,
    secret: c.var.config.secret,
    sessions: c.var.sessions,
    events: c.var.events,
  };
}
