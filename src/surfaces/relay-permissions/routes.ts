/** The routes of relay permissions and connections: `docs/relay-permissions.md`. */
import type { Hono } from "hono";
import { readBody, readQuery } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { findConnection, listConnections } from "../../relay-permissions/connection-store";
import {
  createConnection,
  createPermission,
  deleteConnection,
  deletePermission,
  type PermissionRefusal,
  type PermissionResult,
  type PermissionServices,
  updatePermission,
} from "../../relay-permissions/manage-permissions";
import { CONNECTION_ID_PATTERN, type PermissionKey } from "../../relay-permissions/permission";
import { listPermissions } from "../../relay-permissions/permission-list";
import { findPermission } from "../../relay-permissions/permission-store";
import { toPermissionRefusal } from "./errors";
import {
  connectionQuery,
  createConnectionBody,
  createPermissionBody,
  FIRST_PAGE,
  permissionQuery,
  readPermissionKey,
  toConnectionDefinition,
  toEnvelope,
  toPermission,
  updatePermissionBody,
} from "./wire";

/** Both prefixes work: HULFT's documentation writes the paths without it, and its examples with it. */
const PREFIXES = ["/api/v2", ""];

/** Adds the surface to the app. */
export function relayPermissionRoutes(app: Hono<AppEnv>): void {
  for (const prefix of PREFIXES) {
    permissionListRoutes(app, `${prefix}/relay/permission`);
    onePermissionRoutes(app, `${prefix}/relay/permission`);
    connectionRoutes(app, `${prefix}/connections/definition`);
  }
}

function permissionListRoutes(app: Hono<AppEnv>, path: string): void {
  app.get(
    path,
    keyRoute("relay-permissions:get", async (c, { organisationId }) =>
      list(c, organisationId, null),
    ),
  );

  app.get(
    `${path}/:connectionId`,
    keyRoute("relay-permissions:get", async (c, { organisationId }) =>
      list(c, organisationId, requireConnectionId(c)),
    ),
  );

  app.post(
    path,
    keyRoute("relay-permissions:create", async (c, { organisationId }) => {
      const body = await readBody(c, createPermissionBody);
      const result = await createPermission(servicesOf(c), organisationId, body, Date.now());
      const created = requireDone(result);
      const { connectionId, remoteConnectionId, direction } = created;
      const location = `${path}/${connectionId}/${remoteConnectionId}/${direction}`;
      return c.json(toPermission(created), 201, { Location: location });
    }),
  );
}

function onePermissionRoutes(app: Hono<AppEnv>, path: string): void {
  const one = `${path}/:connectionId/:remoteConnectionId/:direction`;

  app.get(
    one,
    keyRoute("relay-permissions:get", async (c, { organisationId }) => {
      const permission = await findPermission(c.var.db, organisationId, requireKeyOf(c));
      if (!permission) throw refused({ code: "permission-not-found" });
      const envelope = toEnvelope({ total: 1, fetched: 1 }, FIRST_PAGE);
      return c.json({ ...envelope, permission: [toPermission(permission)] });
    }),
  );

  app.put(
    one,
    keyRoute("relay-permissions:update", async (c, { organisationId }) => {
      const key = requireKeyOf(c);
      const change = { ...(await readBody(c, updatePermissionBody)), ...key };
      const result = await updatePermission(servicesOf(c), organisationId, change, Date.now());
      return c.json(toPermission(requireDone(result)));
    }),
  );

  app.delete(
    one,
    keyRoute("relay-permissions:delete", async (c, { organisationId }) => {
      const key = requireKeyOf(c);
      requireDone(await deletePermission(servicesOf(c), organisationId, key, Date.now()));
      return c.body(null, 200);
    }),
  );
}

function connectionRoutes(app: Hono<AppEnv>, path: string): void {
  app.get(
    path,
    keyRoute("connections:get", async (c, { organisationId }) => {
      const query = readQuery(c, connectionQuery);
      const { connections, total } = await listConnections(c.var.db, organisationId, {
        after: query.after,
        offset: query.startIndex,
        limit: query.maxResults,
      });
      const envelope = toEnvelope({ total, fetched: connections.length }, query);
      return c.json({ ...envelope, definitions: connections.map(toConnectionDefinition) });
    }),
  );

  // Drawbridge's addition, in the form of a single permission: the Location that a POST answers must exist.
  app.get(
    `${path}/:connectionId`,
    keyRoute("connections:get", async (c, { organisationId }) => {
      const connection = await findConnection(c.var.db, organisationId, requireConnectionId(c));
      if (!connection) throw refused({ code: "connection-not-found" });
      const envelope = toEnvelope({ total: 1, fetched: 1 }, FIRST_PAGE);
      return c.json({ ...envelope, definitions: [toConnectionDefinition(connection)] });
    }),
  );

  app.post(
    path,
    keyRoute("connections:create", async (c, { organisationId }) => {
      const body = await readBody(c, createConnectionBody);
      const result = await createConnection(servicesOf(c), organisationId, body, Date.now());
      const created = requireDone(result);
      return c.json(toConnectionDefinition(created), 201, {
        Location: `${path}/${created.connectionId}`,
      });
    }),
  );

  app.delete(
    `${path}/:connectionId`,
    keyRoute("connections:delete", async (c, { organisationId }) => {
      const id = requireConnectionId(c);
      requireDone(await deleteConnection(servicesOf(c), organisationId, id, Date.now()));
      return c.body(null, 200);
    }),
  );
}

/** The list of permissions: all of the organisation, or (`connectionId`) those of one connection. */
async function list(
  c: Call,
  organisationId: number,
  connectionId: string | null,
): Promise<Response> {
  const { startIndex, maxResults, ...wanted } = readQuery(c, permissionQuery);
  const found = await listPermissions(c.var.db, organisationId, {
    ...wanted,
    connectionId,
    offset: startIndex,
    limit: maxResults,
  });
  if (!found) throw refused({ code: "connection-not-found" });
  const { permissions, total } = found;
  const envelope = toEnvelope({ total, fetched: permissions.length }, { startIndex, maxResults });
  return c.json({ ...envelope, permission: permissions.map(toPermission) });
}

/** The connection in the path. One with an id of another form was never registered. */
function requireConnectionId(c: Call): string {
  const id = c.req.param("connectionId");
  if (id === undefined || !CONNECTION_ID_PATTERN.test(id))
    throw refused({ code: "connection-not-found" });
  return id;
}

function requireKeyOf(c: Call): PermissionKey {
  const { connectionId, remoteConnectionId, direction } = c.req.param();
  const key = readPermissionKey(connectionId, remoteConnectionId, direction);
  if (!key) throw refused({ code: "permission-not-found" });
  return key;
}

function requireDone<T>(result: PermissionResult<T>): T {
  if (!result.ok) throw refused(result.refusal);
  return result.value;
}

function refused(refusal: PermissionRefusal): Refused {
  return new Refused(toPermissionRefusal(refusal));
}

function servicesOf(c: Call): PermissionServices {
  const waitUntil = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  return { db: c.var.db, sessions: c.var.sessions, events: c.var.events, waitUntil };
}
