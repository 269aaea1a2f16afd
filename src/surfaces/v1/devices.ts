/**
 * Devices on `/v1`: an organisation lists, renames and removes them, and rotates, revokes and verifies
 * their tokens.
 */
import type { Hono } from "hono";
import {
  type DeviceChangeResult,
  labelDevice,
  rotateOwnToken,
  rotateTokenByOperator,
} from "../../devices/manage-devices";
import { verifyDeviceToken } from "../../devices/verify-device";
import { readCredential } from "../../http/authenticate";
import { readBody, readQuery } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { keyRoute } from "../../http/guarded-routes";
import { readTimeCursor, toKeysetPage, toTimeCursor } from "../../http/paging";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { findDevice, listDevices } from "../../pairing/pairing-lists";
import { removePairedDevice, revokeDeviceToken } from "../../pairing/remove-and-revoke";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { APPLICATION_PATH, applicationNotFound, applicationRef, deviceRef } from "./device-paths";
import {
  devicesQuery,
  labelDeviceBody,
  revokeTokenBody,
  rotateTokenBody,
  toDeviceWire,
  toVerificationWire,
  verifyTokenBody,
} from "./device-wire";

const DEVICE_PATH = `${APPLICATION_PATH}/devices/:device{[A-Za-z0-9._-]+}`;

/** Adds the routes to the app. */
export function deviceRoutes(app: Hono<AppEnv>): void {
  pairedDeviceRoutes(app);
  tokenRoutes(app);
}

function pairedDeviceRoutes(app: Hono<AppEnv>): void {
  app.get(
    `${APPLICATION_PATH}/devices`,
    keyRoute("devices:list", async (c, caller) => {
      const { limit, cursor } = readQuery(c, devicesQuery);
      const query = { after: readTimeCursor(cursor), limit: limit + 1 };
      const rows = await listDevices(c.var.db, applicationRef(c, caller), query);
      if (!rows) throw applicationNotFound();
      return c.json(toKeysetPage(rows, limit, toTimeCursor, toDeviceWire));
    }),
  );

  app.get(
    DEVICE_PATH,
    keyRoute("devices:list", async (c, caller) => {
      const { deviceId, ...application } = deviceRef(c, caller);
      const device = await findDevice(c.var.db, application, deviceId);
      if (device === null) throw applicationNotFound();
      if (!device) throw new Refused(toDeviceRefusal({ code: "device-not-found" }));
      return c.json(toDeviceWire(device));
    }),
  );

  app.patch(
    DEVICE_PATH,
    keyRoute("devices:manage", async (c, caller) => {
      const { label } = await readBody(c, labelDeviceBody);
      const ref = deviceRef(c, caller);
      const result = await labelDevice(deviceServices(c), ref, label, Date.now());
      return answerWithDevice(c, result);
    }),
  );

  app.delete(
    DEVICE_PATH,
    keyRoute("devices:remove", async (c, caller) => {
      const ref = deviceRef(c, caller);
      const result = await removePairedDevice(deviceServices(c), caller, ref, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.body(null, 204);
    }),
  );
}

function tokenRoutes(app: Hono<AppEnv>): void {
  const rotateForCaller = keyRoute("devices:manage", async (c, caller) => {
    const { role, scopes } = await readBody(c, rotateTokenBody);
    const ref = deviceRef(c, caller);
    const services = deviceServices(c);
    const rotation = { ...ref, role, scopes };
    const result = await rotateTokenByOperator(services, caller, rotation, Date.now());
    return answerWithDevice(c, result);
  });

  // Device tokens begin with drbd_: the device itself calls. Otherwise an operator or a program does.
  app.post(`${DEVICE_PATH}/tokens:rotate`, (c) =>
    /^(?:token|bearer)\s+drbd_/i.test(c.req.header("Authorization")?.trim() ?? "")
      ? rotateOwn(c)
      : rotateForCaller(c),
  );

  app.post(
    `${DEVICE_PATH}/tokens:revoke`,
    keyRoute("devices:manage", async (c, caller) => {
      const { role } = await readBody(c, revokeTokenBody);
      const revocation = { ...deviceRef(c, caller), role };
      const result = await revokeDeviceToken(deviceServices(c), caller, revocation, Date.now());
      return answerWithDevice(c, result);
    }),
  );

  app.post(
    "/v1/devices:verify",
    keyRoute("devices:list", async (c, { organisationId }) => {
      const { token, scope } = await readBody(c, verifyTokenBody);
      const now = Date.now();
      const asked = { organisationId, scope };
      const verified = await verifyDeviceToken(verificationServices(c), token, asked, now);
      return c.json(toVerificationWire(verified));
    }),
  );
}

/** A device sends its own token, and gets another one in its place. */
async function rotateOwn(c: Call): Promise<Response> {
  const now = Date.now();
  const anyDevice = { organisationId: null, scope: null };
  const verified = await verifyDeviceToken(
    verificationServices(c),
    readCredential(c, now),
    anyDevice,
    now,
  );
  const { device } = verified.ok ? verified : { device: null };
  const isOwn =
    device?.id === c.req.param("device") && device?.applicationId === c.req.param("application");
  if (!verified.ok || !isOwn) return refuseAndCount(c, now, wrongDeviceToken);
  const { role, scopes } = await readBody(c, rotateTokenBody);
  if (role !== verified.role) {
    throw new Refused({
      status: 403,
      code: "wrong-role",
      message: `This token is of the role ${verified.role}: it rotates no other.`,
    });
  }
  const result = await rotateOwnToken(deviceServices(c), verified, scopes, now);
  if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
  return c.json({ device_token: result.token, role: result.role, scopes: result.scopes });
}

const wrongDeviceToken = toDeviceRefusal({ code: "wrong-device-token" });

/** What `verifyDeviceToken` needs of this request. */
function verificationServices(c: Call) {
  return { db: c.var.db, ctx: c.executionCtx };
}

/** The answer of a change: the device as it is now. */
function answerWithDevice(c: Call, result: DeviceChangeResult): Response {
  if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
  return c.json(toDeviceWire(result.device));
}
