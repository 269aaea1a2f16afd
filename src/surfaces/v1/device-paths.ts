/**
 * What the operations of applications, pairing requests and devices on `/v1` share: the path of an
 * application, and how a path is read.
 */
import * as z from "zod";
import type { ApplicationRef } from "../../devices/application-store";
import type { DeviceRef } from "../../devices/manage-devices";
import { type Caller, Refused } from "../../http/request-context";
import { toDeviceRefusal } from "../shared/device-refusals";

/** The form of the id of a pairing request. */
export const REQUEST_ID = /^pr-[0-9a-f-]{36}$/;

/** The path of one application. */
export const APPLICATION_PATH = "/v1/applications/{application}";

/** The path of one device. */
export const DEVICE_PATH = `${APPLICATION_PATH}/devices/{device}` as const;

const application = z
  .string()
  .regex(/^pa-[0-9a-z]{14}$/)
  .meta({ description: "The `id` of an application: `pa-` and 14 characters." });

/** The parameter of the path of an application. These forms only describe: any other text is answered 404. */
export const applicationForm = { application };

/** The parameters of the path of a pairing request. */
export const requestForm = {
  application,
  id: z
    .string()
    .regex(REQUEST_ID)
    .meta({ description: "The `pair_request_id` of a pairing request: `pr-` and a UUID." }),
};

/** The parameters of the path of a device. */
export const deviceForm = {
  application,
  device: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .meta({
      description: "The `device_id`: 64 hexadecimal digits, the SHA-256 of the device's key.",
    }),
};

/** An application of the right form, in examples. */
export const exampleApplication = { application: "pa-5hkzi4sk2io9em" };

/** A pairing request of the right form, in examples. */
export const exampleRequest = {
  ...exampleApplication,
  id: "pr-01a21576-a8c8-7ea6-9092-0a93a1d90052",
};

/** A device of the right form, in examples. */
export const exampleDevice = {
  ...exampleApplication,
  device: "34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e",
};

/** The application that the path names, in the organisation of the caller. */
export function applicationRef(
  { application }: { application: string },
  { organisationId }: Pick<Caller, "organisationId">,
): ApplicationRef {
  return { organisationId, applicationId: application };
}

/** The device that the path names, in the organisation of the caller. */
export function deviceRef(
  params: { application: string; device: string },
  caller: Pick<Caller, "organisationId">,
): DeviceRef {
  return { ...applicationRef(params, caller), deviceId: params.device };
}

/** The answer 404 to a path whose application does not exist, or is another organisation's. */
export function applicationNotFound(): Refused {
  return new Refused(toDeviceRefusal({ code: "application-not-found" }));
}
