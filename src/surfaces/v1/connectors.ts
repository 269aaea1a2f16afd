/** Connectors on `/v1`: an organisation's adapters that verify access to sources. */
import type { Hono } from "hono";
import { z } from "zod";
import { readBody } from "../../http/body";
import { type AppEnv, type Call, Refused } from "../../http/context";
import { keyed } from "../../http/routes";
import { requireSendable } from "../../http/sendable";
import {
  type Connector,
  connectorSecret,
  DEFAULT_IDLE_SECONDS,
  DEFAULT_TIMEOUT_SECONDS,
  DEFAULT_TTL_SECONDS,
  LONGEST_TIMEOUT_SECONDS,
  MOCK_TYPE,
} from "../../sources/connector";
import { deleteConnector, findConnector, putConnector } from "../../sources/connector-store";

const TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A year. */
const LONGEST_SECONDS = 31_536_000;

function seconds(least: number, most = LONGEST_SECONDS) {
  const rule = `must be a whole number from ${least} to ${most}`;
  return z.int(rule).min(least, rule).max(most, rule);
}

const putBody = z
  .strictObject({
    url: z.string("must be a string"),
    timeout_seconds: seconds(1, LONGEST_TIMEOUT_SECONDS).default(DEFAULT_TIMEOUT_SECONDS),
    check_interval_seconds: seconds(1).nullable().default(null),
    session_ttl_seconds: seconds(3).default(DEFAULT_TTL_SECONDS),
    idle_seconds: seconds(3).default(DEFAULT_IDLE_SECONDS),
  })
  .transform((body) => ({
    url: body.url,
    timeoutSeconds: body.timeout_seconds,
    checkIntervalSeconds: body.check_interval_seconds,
    sessionTtlSeconds: body.session_ttl_seconds,
    idleSeconds: body.idle_seconds,
  }));

/** Adds the routes to the app. */
export function connectorRoutes(app: Hono<AppEnv>): void {
  app.put(
    "/v1/connectors/:type",
    keyed("sessions:write", async (c, { organisationId }) => {
      const type = requireType(c);
      const terms = await readBody(c, putBody);
      requireSendable(c, "url", terms.url);
      const asked = { type, ...terms, createdAt: Date.now() };
      const connector = await putConnector(c.var.db, organisationId, asked);
      const secret = connectorSecret(c.var.config.secret, organisationId, connector);
      return c.json({ ...toWire(connector), secret });
    }),
  );

  app.get(
    "/v1/connectors/:type",
    keyed("sessions:read", async (c, { organisationId }) => {
      const connector = await findConnector(c.var.db, organisationId, requireType(c));
      if (!connector) throw new Refused(unknownConnector);
      return c.json(toWire(connector));
    }),
  );

  app.delete(
    "/v1/connectors/:type",
    keyed("sessions:write", async (c, { organisationId }) => {
      const deleted = await deleteConnector(c.var.db, organisationId, requireType(c));
      if (!deleted) throw new Refused(unknownConnector);
      return c.body(null, 204);
    }),
  );
}

const unknownConnector = {
  status: 404,
  code: "connector-not-found",
  message: "There is no connector for this type of sources.",
} as const;

function requireType(c: Call): string {
  const type = c.req.param("type") ?? "";
  const problem = TYPE.test(type)
    ? type === MOCK_TYPE
      ? "is built in: it has no connector"
      : null
    : "must be 1 to 64 letters, digits, dots, _ or -, like icloud.account";
  if (problem === null) return type;
  throw new Refused({
    status: 400,
    code: "invalid-parameter",
    message: `The type ${problem}.`,
    problems: [{ path: "type", message: problem }],
  });
}

function toWire(connector: Connector) {
  return {
    type: connector.type,
    url: connector.url,
    timeout_seconds: connector.timeoutSeconds,
    check_interval_seconds: connector.checkIntervalSeconds,
    session_ttl_seconds: connector.sessionTtlSeconds,
    idle_seconds: connector.idleSeconds,
    created_at: new Date(connector.createdAt).toISOString(),
  };
}
