/**
 * The routes of connectors on `/v1`: the services of an organisation that check credentials for its
 * sources.
 */
import type { Hono } from "hono";
import { readBody, readOptionalBody } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { type Connector, connectorSecrets, MOCK_TYPE } from "../../sources/connector";
import {
  deleteConnector,
  putConnector,
  rotateConnectorSecret,
} from "../../sources/connector-changes";
import { findConnector } from "../../sources/connector-store";
import { SOURCE_TYPE, SOURCE_TYPE_RULE } from "../shared/id-forms";
import { putConnectorBody, toConnector } from "./connector-wire";
import { rotateSecretBody } from "./webhook-wire";

const CONNECTOR_PATH = "/v1/connectors/:type";

/**
 * Adds the routes to the app. Changes need `connectors:write`, since a connector receives end users'
 * credentials. Callers with `sessions:read` may see how sessions are checked, and why a check failed.
 */
export function connectorRoutes(app: Hono<AppEnv>): void {
  app.put(
    CONNECTOR_PATH,
    keyRoute("connectors:write", async (c, { organisationId }) => {
      const type = requireType(c);
      const terms = await readBody(c, putConnectorBody);
      requireSendable(c, "url", terms.url);
      const connector = await putConnector(c.var, { organisationId, type }, terms, Date.now());
      const secret = newestSecret(c, organisationId, connector);
      return c.json({ ...toConnector(connector), secret });
    }),
  );

  app.get(
    CONNECTOR_PATH,
    keyRoute("sessions:read", async (c, { organisationId }) => {
      const connector = await findConnector(c.var.db, organisationId, requireType(c));
      if (!connector) throw new Refused(unknownConnector);
      return c.json(toConnector(connector));
    }),
  );

  app.delete(
    CONNECTOR_PATH,
    keyRoute("connectors:write", async (c, { organisationId }) => {
      const address = { organisationId, type: requireType(c) };
      if (!(await deleteConnector(c.var, address, Date.now()))) throw new Refused(unknownConnector);
      return c.body(null, 204);
    }),
  );

  app.post(
    `${CONNECTOR_PATH}/secret:rotate`,
    keyRoute("connectors:write", async (c, { organisationId }) => {
      const address = { organisationId, type: requireType(c) };
      const { graceMs } = await readOptionalBody(c, rotateSecretBody);
      const connector = await rotateConnectorSecret(c.var, address, graceMs, Date.now());
      if (!connector) throw new Refused(unknownConnector);
      c.header("Cache-Control", "no-store");
      return c.json({ secret: newestSecret(c, organisationId, connector) });
    }),
  );
}

function newestSecret(c: Call, organisationId: number, connector: Connector): string {
  return connectorSecrets(c.var.config.secret, organisationId, connector, Date.now())[0];
}

const unknownConnector = {
  status: 404,
  code: "connector-not-found",
  message: "There is no connector for this type of sources.",
} as const;

function requireType(c: Call): string {
  const type = c.req.param("type") ?? "";
  const problem = SOURCE_TYPE.test(type)
    ? type === MOCK_TYPE
      ? "is built in: it has no connector"
      : null
    : SOURCE_TYPE_RULE;
  if (problem === null) return type;
  throw new Refused({
    status: 400,
    code: "invalid-parameter",
    message: `The type ${problem}.`,
    problems: [{ path: "type", message: problem }],
  });
}
