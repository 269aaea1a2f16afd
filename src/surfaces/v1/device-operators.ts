/** What operators and gateways call on `/v1`: applications, decisions, devices, tokens, setup codes. */
import type { Hono } from "hono";
import {
  insertApplication,
  listApplications,
  selectApplication,
} from "../../devices/application-store";
import { newApplicationId } from "../../devices/device-ids";
import {
  labelDevice,
  type ManageResult,
  rotateForDevice,
  rotateForOperator,
} from "../../devices/manage-devices";
import { verifyDeviceToken } from "../../devices/verify-device";
import { readCredential } from "../../http/authenticate";
import { readBody, readQuery } from "../../http/body";
import { refuseAndCount } from "../../http/failed-attempts";
import { keyed } from "../../http/guarded-routes";
import { toKeysetPage } from "../../http/paging";
import { type AppEnv, type Call, type Caller, Refused } from "../../http/request-context";
import { approveRequest, rejectRequest } from "../../pairing/approve-and-reject";
import { findDevice, listDevices, listRequests } from "../../pairing/pair-list";
import { removePairedDevice, revokeDeviceToken } from "../../pairing/remove-and-revoke";
import { createSetupCode } from "../../pairing/setup-codes";
import { deviceServices } from "../shared/device-deps";
import { toDeviceRefusal } from "../shared/device-refusals";
import { toRfc3339 } from "../shared/wire-time";
import {
  applicationBody,
  applicationsQuery,
  approveRequestBody,
  devicesQuery,
  labelDeviceBody,
  rejectRequestBody,
  requestsQuery,
  revokeTokenBody,
  rotateTokenBody,
  setupCodeBody,
  toApplicationWire,
  toDeviceWire,
  toRequestWire,
  toVerificationWire,
  verifyTokenBody,
} from "./device-wire";

const APPLICATION = "/v1/applications/:application";
const DEVICE = `${APPLICATION}/devices/:device{[A-Za-z0-9._-]+}`;
/** Ids drawn before giving up: of 2⁷², two in a row that are taken mean that something is broken. */
const MOST_DRAWS = 3;

/** Adds the routes to the app. */
export function deviceOperatorRoutes(app: Hono<AppEnv>): void {
  applicationRoutes(app);
  requestRoutes(app);
  deviceRoutes(app);
  tokenRoutes(app);
}

function applicationRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/applications",
    keyed("devices:manage", async (c, { organisationId }) => {
      const { name } = await readBody(c, applicationBody);
      const createdAt = Date.now();
      for (let i = 0; i < MOST_DRAWS; i++) {
        const id = newApplicationId();
        if (await insertApplication(c.var.db, { id, organisationId, name, createdAt })) {
          return c.json(toApplicationWire({ id, name, createdAt }), 201);
        }
      }
      throw new Error("no free application id was drawn");
    }),
  );

  app.get(
    "/v1/applications",
    keyed("devices:list", async (c, { organisationId }) => {
      const { limit, cursor } = readQuery(c, applicationsQuery);
      const query = { organisationId, after: toPosition(cursor), limit: limit + 1 };
      const rows = await listApplications(c.var.db, query);
      return c.json(toKeysetPage(rows, limit, cursorOf, toApplicationWire));
    }),
  );

  app.get(
    APPLICATION,
    keyed("devices:list", async (c, { organisationId }) => {
      const id = c.req.param("application") ?? "";
      const [application] = await selectApplication(c.var.db, organisationId, id);
      if (!application) throw noApplication();
      return c.json(toApplicationWire(application));
    }),
  );

  app.post(
    `${APPLICATION}/setup-codes`,
    keyed("devices:approve", async (c, caller) => {
      const { role, scopes, ttl_seconds } = await readBody(c, setupCodeBody);
      const id = c.req.param("application") ?? "";
      const [application] = await selectApplication(c.var.db, caller.organisationId, id);
      if (!application) throw noApplication();
      const expiresAt = Date.now() + ttl_seconds * 1_000;
      const made = await createSetupCode(
        deviceServices(c),
        caller,
        id,
        { role, scopes },
        expiresAt,
      );
      if (!made.ok) throw new Refused(toDeviceRefusal(made.refusal));
      return c.json({ setup_code: made.code, expires_at: toRfc3339(expiresAt) }, 201);
    }),
  );
}

function requestRoutes(app: Hono<AppEnv>): void {
  const requests = `${APPLICATION}/pairing/requests`;

  app.get(
    requests,
    keyed("devices:list", async (c, caller) => {
      const { limit, cursor, status } = readQuery(c, requestsQuery);
      const query = { status, before: cursor, limit: limit + 1 };
      const rows = await listRequests(c.var.db, placeOf(c, caller), query, Date.now());
      if (!rows) throw noApplication();
      return c.json(toKeysetPage(rows, limit, ({ id }) => id, toRequestWire));
    }),
  );

  app.post(
    `${requests}/:id{[A-Za-z0-9._-]+:approve}`,
    keyed("devices:approve", async (c, caller) => {
      const narrowing = await readBody(c, approveRequestBody);
      const { applicationId } = placeOf(c, caller);
      const id = requestId(c);
      const deps = deviceServices(c);
      const result = await approveRequest(deps, caller, applicationId, id, narrowing, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.json(toRequestWire(result.request));
    }),
  );

  app.post(
    `${requests}/:id{[A-Za-z0-9._-]+:reject}`,
    keyed("devices:approve", async (c, caller) => {
      const { reason } = await readBody(c, rejectRequestBody);
      const { applicationId } = placeOf(c, caller);
      const id = requestId(c);
      const deps = deviceServices(c);
      const result = await rejectRequest(deps, caller, applicationId, id, reason, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.json(toRequestWire(result.request));
    }),
  );
}

function deviceRoutes(app: Hono<AppEnv>): void {
  app.get(
    `${APPLICATION}/devices`,
    keyed("devices:list", async (c, caller) => {
      const { limit, cursor } = readQuery(c, devicesQuery);
      const query = { after: toPosition(cursor), limit: limit + 1 };
      const rows = await listDevices(c.var.db, placeOf(c, caller), query);
      if (!rows) throw noApplication();
      return c.json(toKeysetPage(rows, limit, cursorOf, toDeviceWire));
    }),
  );

  app.get(
    DEVICE,
    keyed("devices:list", async (c, caller) => {
      const device = await findDevice(c.var.db, placeOf(c, caller), c.req.param("device") ?? "");
      if (device === null) throw noApplication();
      if (!device) throw new Refused(toDeviceRefusal({ code: "device-not-found" }));
      return c.json(toDeviceWire(device));
    }),
  );

  app.patch(
    DEVICE,
    keyed("devices:manage", async (c, caller) => {
      const { label } = await readBody(c, labelDeviceBody);
      return answer(
        c,
        await labelDevice(deviceServices(c), addressOf(c, caller), label, Date.now()),
      );
    }),
  );

  app.delete(
    DEVICE,
    keyed("devices:remove", async (c, caller) => {
      const own = addressOf(c, caller);
      const result = await removePairedDevice(deviceServices(c), caller, own, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.body(null, 204);
    }),
  );
}

function tokenRoutes(app: Hono<AppEnv>): void {
  const rotateByKey = keyed("devices:manage", async (c, caller) => {
    const { role, scopes } = await readBody(c, rotateTokenBody);
    const address = addressOf(c, caller);
    return answer(
      c,
      await rotateForOperator(deviceServices(c), caller, address, role, scopes, Date.now()),
    );
  });

  app.post(`${DEVICE}/tokens:rotate`, (c) =>
    /^bearer\s+drbd_/i.test(c.req.header("Authorization")?.trim() ?? "")
      ? rotateOwn(c)
      : rotateByKey(c),
  );

  app.post(
    `${DEVICE}/tokens:revoke`,
    keyed("devices:manage", async (c, caller) => {
      const { role } = await readBody(c, revokeTokenBody);
      const own = { ...addressOf(c, caller), role };
      return answer(c, await revokeDeviceToken(deviceServices(c), caller, own, Date.now()));
    }),
  );

  app.post(
    "/v1/devices:verify",
    keyed("devices:list", async (c, { organisationId }) => {
      const { token, scope } = await readBody(c, verifyTokenBody);
      const now = Date.now();
      const asked = { organisationId, scope };
      const verified = await verifyDeviceToken(verifierOf(c), token, asked, now);
      return c.json(toVerificationWire(verified));
    }),
  );
}

/** A device rotates its own token, with that token. */
async function rotateOwn(c: Call): Promise<Response> {
  const now = Date.now();
  const anyDevice = { organisationId: null, scope: null };
  const verified = await verifyDeviceToken(verifierOf(c), readCredential(c, now), anyDevice, now);
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
  const result = await rotateForDevice(deviceServices(c), verified, scopes, now);
  if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
  return c.json({ device_token: result.token, role: result.role, scopes: result.scopes });
}

const wrongDeviceToken = toDeviceRefusal({ code: "wrong-device-token" });

/** What the verification of a device token stands on. */
function verifierOf(c: Call) {
  return { db: c.var.db, ctx: c.executionCtx };
}

function answer(c: Call, result: ManageResult): Response {
  if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
  return c.json(toDeviceWire(result.device));
}

/** The cursor after this row of a list by time. */
function cursorOf({ createdAt, id }: Position): string {
  return `${createdAt}.${id}`;
}

/** Where a cursor says that the page begins. */
function toPosition(cursor: string | null): Position | null {
  const [createdAt, id] = cursor?.split(".") ?? [];
  return createdAt && id ? { createdAt: Number(createdAt), id } : null;
}

interface Position {
  createdAt: number;
  id: string;
}

function noApplication(): Refused {
  return new Refused(toDeviceRefusal({ code: "application-not-found" }));
}

/** The path ends in `{id}:approve` or `{id}:reject`. */
function requestId(c: Call): string {
  return (c.req.param("id") ?? "").split(":", 1)[0] ?? "";
}

function placeOf(c: Call, { organisationId }: Caller) {
  return { organisationId, applicationId: c.req.param("application") ?? "" };
}

function addressOf(c: Call, caller: Caller) {
  return { ...placeOf(c, caller), deviceId: c.req.param("device") ?? "" };
}
