/** The operations of relay permissions: `docs/relay-permissions.md`. */
import type * as z from "zod";
import {
  key,
  type Operation,
  type OperationGroup,
  operation,
  type Shown,
} from "../../http/operation";
import type { Call } from "../../http/request-context";
import {
  createPermission,
  deletePermission,
  updatePermission,
} from "../../relay-permissions/manage-permissions";
import { listPermissions } from "../../relay-permissions/permission-list";
import { findPermission } from "../../relay-permissions/permission-store";
import { refused, requireDone } from "./errors";
import { permissionServices } from "./permission-services";
import { operationId, type Prefix } from "./prefixes";
import {
  createPermissionBody,
  FIRST_PAGE,
  permissionKeyForm,
  permissionQuery,
  relayPermission,
  relayPermissions,
  requireConnectionId,
  requirePermissionKey,
  toEnvelope,
  toPermission,
  updatePermissionBody,
} from "./wire";

/** Relay permissions. */
export const permissions: OperationGroup = {
  name: "Relay permissions",
  description:
    "A relay permission says whether one connection may send to, or receive from, another. A transfer needs two: the sender's `send`, and the receiver's `receive`. The format is that of the HULFT-WebConnect Site API.",
  page: "relay-permissions.md",
  operations: permissionOperations(""),
};

/** The operations of relay permissions, under a prefix. */
export function permissionOperations(prefix: Prefix): Operation[] {
  return [...listOperations(prefix), ...onePermissionOperations(prefix)];
}

function listOperations(prefix: Prefix): Operation[] {
  const path = `${prefix}/relay/permission` as const;
  return [
    operation({
      id: operationId("listRelayPermissions", prefix),
      method: "GET",
      path,
      caller: key("relay-permissions:get"),
      readsNearby: true,
      summary: "List the relay permissions, in the order of their keys",
      description:
        "The key of a relay permission is `connectionId`, `remoteConnectionId` and `direction`. If `fetchSize` is as high as `maxResults`, there may be more: ask again with the last key as `after`.",
      query: permissionQuery,
      answers: { 200: relayPermissions },
      refusals: { 400: ["page-too-deep"] },
      example: { query: { direction: "send", enabled: "true" } },
      async handle(c, { query, caller: { organisationId } }) {
        return { status: 200, body: await list(c, organisationId, null, query) };
      },
    }),
    operation({
      id: operationId("createRelayPermission", prefix),
      method: "POST",
      path,
      caller: key("relay-permissions:create"),
      addsRows: true,
      summary: "Create a relay permission",
      description:
        "Both connections must be registered. It has an effect only while it is enabled, and a new one is not enabled unless you say so.",
      body: createPermissionBody,
      answers: { 201: relayPermission },
      answerTexts: { 201: "The new relay permission." },
      answerHeaders: { Location: "Its path." },
      refusals: { 400: ["connection-not-registered"], 409: ["permission-exists"] },
      example: {
        body: {
          connectionId: "plant-a",
          remoteConnectionId: "plant-b",
          direction: "send",
          enabled: "true",
        },
      },
      async handle(c, { body, caller: { organisationId } }) {
        const services = permissionServices(c);
        const result = await createPermission(services, organisationId, body, Date.now());
        const created = requireDone(result);
        const { connectionId, remoteConnectionId, direction } = created;
        const headers = { Location: `${path}/${connectionId}/${remoteConnectionId}/${direction}` };
        return { status: 201, body: toPermission(created), headers };
      },
    }),
    operation({
      id: operationId("listRelayPermissionsOfConnection", prefix),
      method: "GET",
      path: `${path}/{connectionId}`,
      params: { connectionId: permissionKeyForm.connectionId },
      caller: key("relay-permissions:get"),
      readsNearby: true,
      summary: "List the relay permissions in which a connection is `connectionId`",
      description: "A registered connection without relay permissions has an empty list.",
      query: permissionQuery,
      answers: { 200: relayPermissions },
      refusals: { 400: ["page-too-deep"], 404: ["connection-not-found"] },
      example: { params: { connectionId: "plant-a" } },
      async handle(c, { params, query, caller: { organisationId } }) {
        const id = requireConnectionId(params.connectionId);
        return { status: 200, body: await list(c, organisationId, id, query) };
      },
    }),
  ];
}

function onePermissionOperations(prefix: Prefix): Operation[] {
  const path =
    `${prefix}/relay/permission/{connectionId}/{remoteConnectionId}/{direction}` as const;
  const params = { connectionId: "plant-a", remoteConnectionId: "plant-b", direction: "send" };
  const refusals = { 404: ["permission-not-found"] };
  return [
    operation({
      id: operationId("getRelayPermission", prefix),
      method: "GET",
      path,
      params: permissionKeyForm,
      caller: key("relay-permissions:get"),
      summary: "Show a relay permission",
      answers: { 200: relayPermissions },
      answerTexts: { 200: "A list with one row: the relay permission." },
      refusals,
      example: { params },
      async handle(c, { params, caller: { organisationId } }) {
        const found = await findPermission(
          c.get("db"),
          organisationId,
          requirePermissionKey(params),
        );
        if (!found) throw refused({ code: "permission-not-found" });
        const envelope = toEnvelope({ total: 1, fetched: 1 }, FIRST_PAGE);
        return { status: 200, body: { ...envelope, permission: [toPermission(found)] } };
      },
    }),
    operation({
      id: operationId("updateRelayPermission", prefix),
      method: "PUT",
      path,
      params: permissionKeyForm,
      caller: key("relay-permissions:update"),
      summary: "Change a relay permission",
      description: "What you leave out stays as it is. Live relay sessions are told at once.",
      body: updatePermissionBody,
      answers: { 200: relayPermission },
      refusals,
      example: { params, body: { enabled: "false" } },
      async handle(c, { params, body, caller: { organisationId } }) {
        const change = { ...body, ...requirePermissionKey(params) };
        const services = permissionServices(c);
        const result = await updatePermission(services, organisationId, change, Date.now());
        return { status: 200, body: toPermission(requireDone(result)) };
      },
    }),
    operation({
      id: operationId("deleteRelayPermission", prefix),
      method: "DELETE",
      path,
      params: permissionKeyForm,
      caller: key("relay-permissions:delete"),
      summary: "Delete a relay permission",
      description: "Live relay sessions are told at once.",
      answers: { 200: null },
      refusals,
      example: { params },
      async handle(c, { params, caller: { organisationId } }) {
        const wanted = requirePermissionKey(params);
        const services = permissionServices(c);
        requireDone(await deletePermission(services, organisationId, wanted, Date.now()));
        return { status: 200 };
      },
    }),
  ];
}

/** The list of permissions: all of the organisation, or (`connectionId`) those of one connection. */
async function list(
  c: Call,
  organisationId: number,
  connectionId: string | null,
  query: z.output<typeof permissionQuery>,
): Promise<Shown<typeof relayPermissions>> {
  const { startIndex, maxResults, ...wanted } = query;
  const found = await listPermissions(c.get("db"), organisationId, {
    ...wanted,
    connectionId,
    offset: startIndex,
    limit: maxResults,
    now: Date.now(),
  });
  if (!found.ok) throw refused(found);
  const envelope = toEnvelope(
    { total: found.total, fetched: found.rows.length },
    { startIndex, maxResults },
  );
  return { ...envelope, permission: found.rows.map(toPermission) };
}
