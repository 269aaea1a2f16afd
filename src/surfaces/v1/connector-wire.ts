/** Connectors as `/v1` says them, and the body that registers one. */
import { z } from "zod";
import {
  type Connector,
  type ConnectorFacts,
  type ConnectorTerms,
  DEFAULT_IDLE_SECONDS,
  DEFAULT_TIMEOUT_SECONDS,
  DEFAULT_TTL_SECONDS,
  LONGEST_SESSION_SECONDS,
  LONGEST_TIMEOUT_SECONDS,
  SHORTEST_SESSION_SECONDS,
} from "../../sources/connector";
import { toTime } from "../shared/wire-time";

function seconds(least: number, most = LONGEST_SESSION_SECONDS) {
  const rule = `must be a whole number from ${least} to ${most}`;
  return z.int(rule).min(least, rule).max(most, rule);
}

/** The body that registers a connector, or changes one. */
export const putBody = z
  .strictObject({
    url: z.string("must be a string"),
    timeout_seconds: seconds(1, LONGEST_TIMEOUT_SECONDS).default(DEFAULT_TIMEOUT_SECONDS),
    check_interval_seconds: seconds(1).nullable().default(null),
    session_ttl_seconds: seconds(SHORTEST_SESSION_SECONDS).default(DEFAULT_TTL_SECONDS),
    idle_seconds: seconds(SHORTEST_SESSION_SECONDS).default(DEFAULT_IDLE_SECONDS),
  })
  .transform(
    (body): ConnectorTerms => ({
      url: body.url,
      timeoutSeconds: body.timeout_seconds,
      checkIntervalSeconds: body.check_interval_seconds,
      sessionTtlSeconds: body.session_ttl_seconds,
      idleSeconds: body.idle_seconds,
    }),
  );

/** A connector, with what went wrong with it last. */
export function toConnector(connector: Connector) {
  const { lastFailureAt, lastFailureReason } = connector;
  return {
    ...toConnectorFacts(connector),
    last_failure:
      lastFailureAt === null ? null : { at: toTime(lastFailureAt), reason: lastFailureReason },
  };
}

/** What events tell of a connector, too. */
export function toConnectorFacts(connector: Omit<ConnectorFacts, "version">) {
  return {
    type: connector.type,
    url: connector.url,
    timeout_seconds: connector.timeoutSeconds,
    check_interval_seconds: connector.checkIntervalSeconds,
    session_ttl_seconds: connector.sessionTtlSeconds,
    idle_seconds: connector.idleSeconds,
    created_at: toTime(connector.createdAt),
  };
}
