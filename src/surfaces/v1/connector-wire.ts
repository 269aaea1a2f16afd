/** Connectors on `/v1`: the body that registers one, and how they are shown. */
import * as z from "zod";
import { wholeNumber } from "../../http/whole-numbers";
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
import { toRfc3339 } from "../shared/wire-time";

/** The body that registers a connector, or changes one. */
export const putConnectorBody = z
  .strictObject({
    url: z.string("must be a string"),
    timeout_seconds: wholeNumber(1, LONGEST_TIMEOUT_SECONDS).default(DEFAULT_TIMEOUT_SECONDS),
    check_interval_seconds: wholeNumber(1, LONGEST_SESSION_SECONDS).nullable().default(null),
    session_ttl_seconds: wholeNumber(SHORTEST_SESSION_SECONDS, LONGEST_SESSION_SECONDS).default(
      DEFAULT_TTL_SECONDS,
    ),
    idle_seconds: wholeNumber(SHORTEST_SESSION_SECONDS, LONGEST_SESSION_SECONDS).default(
      DEFAULT_IDLE_SECONDS,
    ),
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

/** A connector, with its last failure. */
export function toConnector(connector: Connector) {
  const { lastFailureAt, lastFailureReason } = connector;
  return {
    ...toConnectorFacts(connector),
    last_failure:
      lastFailureAt === null ? null : { at: toRfc3339(lastFailureAt), reason: lastFailureReason },
  };
}

/** A connector as events show it: without its last failure. */
export function toConnectorFacts(connector: Omit<ConnectorFacts, "version">) {
  return {
    type: connector.type,
    url: connector.url,
    timeout_seconds: connector.timeoutSeconds,
    check_interval_seconds: connector.checkIntervalSeconds,
    session_ttl_seconds: connector.sessionTtlSeconds,
    idle_seconds: connector.idleSeconds,
    created_at: toRfc3339(connector.createdAt),
  };
}
