/** Pairing on `/v1` for operators: they list requests, approve or reject them, and make setup codes. */
import type { Hono } from "hono";
import { selectApplication } from "../../devices/application-store";
import { readBody, readQuery } from "../../http/body";
import { idBeforeVerb, keyRoute } from "../../http/guarded-routes";
import { toKeysetPage } from "../../http/paging";
import { type AppEnv, Refused } from "../../http/request-context";
import { approveRequest, rejectRequest } from "../../pairing/approve-and-reject";
import { listPairingRequests } from "../../pairing/pairing-lists";
import { createSetupCode } from "../../pairing/setup-codes";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { toRfc3339 } from "../shared/wire-time";
import { APPLICATION_PATH, applicationNotFound, applicationRef } from "./device-paths";
import {
  approveRequestBody,
  rejectRequestBody,
  requestsQuery,
  setupCodeBody,
  toRequestWire,
} from "./device-wire";

const REQUESTS_PATH = `${APPLICATION_PATH}/pairing/requests`;

/** Adds the routes to the app. */
export function pairingRequestRoutes(app: Hono<AppEnv>): void {
  app.get(
    REQUESTS_PATH,
    keyRoute("devices:list", async (c, caller) => {
      const { limit, cursor, status } = readQuery(c, requestsQuery);
      const query = { status, before: cursor, limit: limit + 1 };
      const rows = await listPairingRequests(
        c.var.db,
        applicationRef(c, caller),
        query,
        Date.now(),
      );
      if (!rows) throw applicationNotFound();
      return c.json(toKeysetPage(rows, limit, ({ id }) => id, toRequestWire));
    }),
  );
  decisionRoutes(app);
  setupCodeRoute(app);
}

function decisionRoutes(app: Hono<AppEnv>): void {
  app.post(
    `${REQUESTS_PATH}/:call{[A-Za-z0-9._-]+:approve}`,
    keyRoute("devices:approve", async (c, caller) => {
      const terms = await readBody(c, approveRequestBody);
      const { applicationId } = applicationRef(c, caller);
      const id = idBeforeVerb(c);
      const services = deviceServices(c);
      const approval = { applicationId, requestId: id, terms };
      const result = await approveRequest(services, caller, approval, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.json(toRequestWire(result.request));
    }),
  );

  app.post(
    `${REQUESTS_PATH}/:call{[A-Za-z0-9._-]+:reject}`,
    keyRoute("devices:approve", async (c, caller) => {
      const { reason } = await readBody(c, rejectRequestBody);
      const { applicationId } = applicationRef(c, caller);
      const id = idBeforeVerb(c);
      const services = deviceServices(c);
      const rejection = { applicationId, requestId: id, reason };
      const result = await rejectRequest(services, caller, rejection, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return c.json(toRequestWire(result.request));
    }),
  );
}

function setupCodeRoute(app: Hono<AppEnv>): void {
  app.post(
    `${APPLICATION_PATH}/setup-codes`,
    keyRoute("devices:approve", async (c, caller) => {
      const { role, scopes, ttl_seconds } = await readBody(c, setupCodeBody);
      const { organisationId, applicationId: id } = applicationRef(c, caller);
      const [application] = await selectApplication(c.var.db, organisationId, id);
      if (!application) throw applicationNotFound();
      const code = { applicationId: id, role, scopes, ttlSeconds: ttl_seconds };
      const made = await createSetupCode(deviceServices(c), caller, code, Date.now());
      if (!made.ok) throw new Refused(toDeviceRefusal(made.refusal));
      return c.json({ setup_code: made.code, expires_at: toRfc3339(made.expiresAt) }, 201);
    }),
  );
}
