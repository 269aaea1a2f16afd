/**
 * What the routes of applications, pairing requests and devices on `/v1` share: their paths, and how a
 * path is read.
 */
import type { DeviceRef } from "../../devices/manage-devices";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { toDeviceRefusal } from "../shared/device-refusals";

/** The path of one application. */
export const APPLICATION_PATH = "/v1/applications/:application";

/** The application that the path names, in the organisation of the caller. */
export function applicationRef(c: Call, { organisationId }: Pick<Caller, "organisationId">) {
  return { organisationId, applicationId: c.req.param("application") ?? "" };
}

/** The device that the path names, in the organisation of the caller. */
export function deviceRef(c: Call, caller: Pick<Caller, "organisationId">): DeviceRef {
  return { ...applicationRef(c, caller), deviceId: c.req.param("device") ?? "" };
}

/** The answer 404 to a path whose application does not exist, or is another organisation's. */
export function applicationNotFound(): Refused {
  return new Refused(toDeviceRefusal({ code: "application-not-found" }));
}
