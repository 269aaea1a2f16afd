/** The operations of connections: `docs/relay-permissions.md`. */
import { key, type Operation, type OperationGroup, operation } from "../../http/operation";
import { findConnection, listConnections } from "../../relay-permissions/connection-store";
import { createConnection, deleteConnection } from "../../relay-permissions/manage-permissions";
import { refused, requireDone } from "./errors";
import { permissionServices } from "./permission-services";
import { operationId, type Prefix } from "./prefixes";
import {
  connectionDefinition,
  connectionDefinitions,
  connectionId,
  connectionQuery,
  createConnectionBody,
  FIRST_PAGE,
  requireConnectionId,
  toConnectionDefinition,
  toEnvelope,
} from "./wire";

/** Connections. */
export const connections: OperationGroup = {
  name: "Connections",
  description:
    "A connection is a name that your organisation registers, such as `plant-a`. Users of relay sessions may carry it, and relay permissions are about it. The format is that of the HULFT-WebConnect Site API.",
  page: "relay-permissions.md",
  operations: connectionOperations(""),
};

/** The operations of connections, under a prefix. */
export function connectionOperations(prefix: Prefix): Operation[] {
  const path = `${prefix}/connections/definition` as const;
  return [
    operation({
      id: operationId("listConnections", prefix),
      method: "GET",
      path,
      caller: key("connections:get"),
      readsNearby: true,
      summary: "List the connections, in the order of their ids",
      description:
        "If `fetchSize` is as high as `maxResults`, there may be more: ask again with the last id as `after`.",
      query: connectionQuery,
      answers: { 200: connectionDefinitions },
      refusals: { 400: ["page-too-deep"] },
      example: { query: { maxResults: "10" } },
      async handle(c, { query, caller: { organisationId } }) {
        const page = await listConnections(c.get("db"), organisationId, {
          after: query.after,
          offset: query.startIndex,
          limit: query.maxResults,
          now: Date.now(),
        });
        if (!page) throw refused({ code: "page-too-deep" });
        const envelope = toEnvelope({ total: page.total, fetched: page.rows.length }, query);
        const definitions = page.rows.map(toConnectionDefinition);
        return { status: 200, body: { ...envelope, definitions } };
      },
    }),
    operation({
      id: operationId("createConnection", prefix),
      method: "POST",
      path,
      caller: key("connections:create"),
      addsRows: true,
      summary: "Register a connection",
      description:
        "From then on, users of relay sessions may carry its id, and relay permissions may name it.",
      body: createConnectionBody,
      answers: { 201: connectionDefinition },
      answerTexts: { 201: "The new connection." },
      answerHeaders: { Location: "Its path." },
      refusals: { 409: ["connection-exists"] },
      example: { body: { connectionId: "plant-a", memo: "Turin" } },
      async handle(c, { body, caller: { organisationId } }) {
        const services = permissionServices(c);
        const result = await createConnection(services, organisationId, body, Date.now());
        const created = requireDone(result);
        const headers = { Location: `${path}/${created.connectionId}` };
        return { status: 201, body: toConnectionDefinition(created), headers };
      },
    }),
    // Drawbridge's addition, in the form of a single permission: the Location that a POST answers must exist.
    operation({
      id: operationId("getConnection", prefix),
      method: "GET",
      path: `${path}/{connectionId}`,
      params: { connectionId },
      caller: key("connections:get"),
      summary: "Show a connection",
      answers: { 200: connectionDefinitions },
      answerTexts: { 200: "A list with one row: the connection." },
      refusals: { 404: ["connection-not-found"] },
      example: { params: { connectionId: "plant-a" } },
      async handle(c, { params, caller: { organisationId } }) {
        const id = requireConnectionId(params.connectionId);
        const connection = await findConnection(c.get("db"), organisationId, id);
        if (!connection) throw refused({ code: "connection-not-found" });
        const envelope = toEnvelope({ total: 1, fetched: 1 }, FIRST_PAGE);
        const definitions = [toConnectionDefinition(connection)];
        return { status: 200, body: { ...envelope, definitions } };
      },
    }),
    operation({
      id: operationId("deleteConnection", prefix),
      method: "DELETE",
      path: `${path}/{connectionId}`,
      params: { connectionId },
      caller: key("connections:delete"),
      summary: "Delete a connection",
      description:
        "The relay permissions in which it is `connectionId` are deleted with it. Users of live relay sessions who carry it are revoked.",
      answers: { 200: null },
      refusals: { 404: ["connection-not-found"] },
      example: { params: { connectionId: "plant-z" } },
      async handle(c, { params, caller: { organisationId } }) {
        const id = requireConnectionId(params.connectionId);
        const services = permissionServices(c);
        requireDone(await deleteConnection(services, organisationId, id, Date.now()));
        return { status: 200 };
      },
    }),
  ];
}
