/**
 * The operations of devices on `/v1`: an organisation lists, renames and removes them, and verifies and
 * revokes their tokens. Rotation is in `device-token-rotation.ts`.
 */
import * as z from "zod";
import { labelDevice } from "../../devices/manage-devices";
import { LONGEST_PROFILE_TEXT } from "../../devices/profile";
import { verifyDeviceToken } from "../../devices/verify-device";
import { humanText } from "../../http/human-text";
import { key, type OperationGroup, operation } from "../../http/operation";
import {
  pageCursor,
  pageLimit,
  pageOf,
  readTimeCursor,
  toKeysetPage,
  toTimeCursor,
} from "../../http/paging";
import { Refused } from "../../http/request-context";
import { findDevice, listDevices } from "../../pairing/pairing-lists";
import { removePairedDevice, revokeDeviceToken } from "../../pairing/remove-and-revoke";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { role, scope, shortText } from "./device-fields";
import {
  APPLICATION_PATH,
  applicationForm,
  applicationNotFound,
  applicationRef,
  DEVICE_PATH,
  deviceForm,
  deviceRef,
  exampleApplication,
  exampleDevice,
} from "./device-paths";
import { rotateDeviceToken } from "./device-token-rotation";
import { device, deviceVerification, toDeviceWire, toVerificationWire } from "./device-wire";

const listQuery = z.strictObject({
  limit: pageLimit,
  cursor: pageCursor(/^[0-9]{1,15}\.[0-9a-f]{64}$/),
});
const labelBody = z.strictObject({
  label: humanText(1, LONGEST_PROFILE_TEXT)
    .nullable()
    .meta({
      description: `The name: 1 to ${LONGEST_PROFILE_TEXT} characters. Null: it has none any more.`,
    }),
});
const revokeBody = z.strictObject({
  role: role.meta({ description: "The role whose token is revoked." }),
});
const verifyBody = z.strictObject({
  token: shortText.meta({ description: "What the device has shown (`drbd_…`)." }),
  scope: scope.nullable().default(null).meta({
    description: "The scope that the token has to carry. Absent or null: it need not carry any.",
  }),
});

const DEVICE_NOT_FOUND = ["application-not-found", "device-not-found"];

/** Paired devices, for the organisation that let them in. */
export const devices: OperationGroup = {
  name: "Devices",
  description:
    "The devices that are paired with an application. A device has one token for each of its roles, and a gateway asks here whether a token works.",
  page: "pairing.md",
  operations: [
    operation({
      id: "listDevices",
      method: "GET",
      path: `${APPLICATION_PATH}/devices`,
      params: applicationForm,
      caller: key("devices:list"),
      readsNearby: true,
      summary: "List paired devices, newest first",
      query: listQuery,
      answers: { 200: pageOf(device) },
      refusals: { 404: ["application-not-found"] },
      example: { params: exampleApplication, query: { limit: "10" } },
      async handle(c, { params, query: { limit, cursor }, caller }) {
        const query = { after: readTimeCursor(cursor), limit: limit + 1 };
        const rows = await listDevices(c.get("db"), applicationRef(params, caller), query);
        if (!rows) throw applicationNotFound();
        return { status: 200, body: toKeysetPage(rows, limit, toTimeCursor, toDeviceWire) };
      },
    }),
    operation({
      id: "getDevice",
      method: "GET",
      path: DEVICE_PATH,
      params: deviceForm,
      caller: key("devices:list"),
      summary: "Show a paired device",
      answers: { 200: device },
      refusals: { 404: DEVICE_NOT_FOUND },
      example: { params: exampleDevice },
      async handle(c, { params, caller }) {
        const { deviceId, ...application } = deviceRef(params, caller);
        const row = await findDevice(c.get("db"), application, deviceId);
        if (row === null) throw applicationNotFound();
        if (!row) throw new Refused(toDeviceRefusal({ code: "device-not-found" }));
        return { status: 200, body: toDeviceWire(row) };
      },
    }),
    operation({
      id: "labelDevice",
      method: "PATCH",
      path: DEVICE_PATH,
      params: deviceForm,
      caller: key("devices:manage"),
      summary: "Give a device a label, or take it away",
      description: "A label is a name that operators give it. The device does not see it.",
      body: labelBody,
      answers: { 200: device },
      refusals: { 404: DEVICE_NOT_FOUND },
      example: { params: exampleDevice, body: { label: "Front desk" } },
      async handle(c, { params, body: { label }, caller }) {
        const ref = deviceRef(params, caller);
        const result = await labelDevice(deviceServices(c), ref, label, Date.now());
        if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
        return { status: 200, body: toDeviceWire(result.device) };
      },
    }),
    operation({
      id: "removeDevice",
      method: "DELETE",
      path: DEVICE_PATH,
      params: deviceForm,
      caller: key("devices:remove"),
      summary: "Remove a device",
      description:
        "Its tokens stop at once. Its open relay websockets are closed, and its pending request is rejected. Only a new approval lets it back in.",
      answers: { 204: null },
      refusals: { 404: DEVICE_NOT_FOUND },
      example: { params: exampleDevice },
      async handle(c, { params, caller }) {
        const ref = deviceRef(params, caller);
        const result = await removePairedDevice(deviceServices(c), caller, ref, Date.now());
        if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
        return { status: 204 };
      },
    }),
    rotateDeviceToken,
    operation({
      id: "revokeDeviceToken",
      method: "POST",
      path: `${DEVICE_PATH}/tokens:revoke`,
      params: deviceForm,
      caller: key("devices:manage"),
      summary: "Revoke the device token of a role",
      description:
        "The token stops at once. The open relay websockets of the device are closed, and its pending request is rejected. Only a new approval gives the role a token again.",
      body: revokeBody,
      answers: { 200: device },
      refusals: { 404: [...DEVICE_NOT_FOUND, "role-not-approved"], 409: ["token-revoked"] },
      example: { params: exampleDevice, body: { role: "operator" } },
      async handle(c, { params, body: { role }, caller }) {
        const revocation = { ...deviceRef(params, caller), role };
        const result = await revokeDeviceToken(deviceServices(c), caller, revocation, Date.now());
        if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
        return { status: 200, body: toDeviceWire(result.device) };
      },
    }),
    operation({
      id: "verifyDeviceToken",
      method: "POST",
      path: "/v1/devices:verify",
      caller: key("devices:list"),
      summary: "Verify a device token",
      description:
        "For gateways that were shown a token. The answer is 200 for every token: `valid` says whether it works, and `code` why not. If it works, the device counts as seen now (`last_seen_at`).",
      body: verifyBody,
      answers: { 200: deviceVerification },
      example: { body: { token: "drbd_none", scope: "operator.write" } },
      async handle(c, { body: { token, scope }, caller: { organisationId } }) {
        const services = { db: c.get("db"), ctx: c.executionCtx };
        const asked = { organisationId, scope };
        const verified = await verifyDeviceToken(services, token, asked, Date.now());
        return { status: 200, body: toVerificationWire(verified) };
      },
    }),
  ],
};
