import type { DeviceServices } from "../../devices/device-services";
import type { Call } from "../../http/request-context";

/** What the work on devices stands on, in a request. */
export function depsOf(c: Call): DeviceServices {
  return {
    db: c.var.db,
    secret: c.var.config.secret,
    sessions: c.var.sessions,
    events: c.var.events,
  };
}
