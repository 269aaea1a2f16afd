/** Connectors on `/v1`: the body that registers one, and how they are shown. */
import * as z from "zod";
import type { Shown } from "../../http/operation";
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
import { time, toRfc3339 } from "../shared/wire-time";

const CHECK_INTERVAL =
  "Every how many seconds the connector is asked whether an active session still stands. Null: never.";
const TIMEOUT = "How many seconds the connector has to answer.";
const SESSION_TTL = "How many seconds a session lasts at most.";
const IDLE = "How many seconds a session may go unused.";

/** The body that registers a connector, or changes one. */
export const putConnectorBody = z
  .strictObject({
    url: z.string("must be a string").meta({
      description: "An https address in the public Internet, to which the credentials are posted.",
    }),
    timeout_seconds: wholeNumber(1, LONGEST_TIMEOUT_SECONDS)
      .default(DEFAULT_TIMEOUT_SECONDS)
      .meta({ description: TIMEOUT }),
    check_interval_seconds: wholeNumber(1, LONGEST_SESSION_SECONDS)
      .nullable()
      .default(null)
      .meta({ description: CHECK_INTERVAL }),
    session_ttl_seconds: wholeNumber(SHORTEST_SESSION_SECONDS, LONGEST_SESSION_SECONDS)
      .default(DEFAULT_TTL_SECONDS)
      .meta({ description: SESSION_TTL }),
    idle_seconds: wholeNumber(SHORTEST_SESSION_SECONDS, LONGEST_SESSION_SECONDS)
      .default(DEFAULT_IDLE_SECONDS)
      .meta({ description: IDLE }),
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

/** A connector as events show it: without its last failure. */
export const connectorFacts = z.object({
  type: z.string().meta({ description: "The type of its sources." }),
  url: z.string().meta({ description: "Where the credentials are posted." }),
  timeout_seconds: z.int().meta({ description: TIMEOUT }),
  check_interval_seconds: z.int().nullable().meta({ description: CHECK_INTERVAL }),
  session_ttl_seconds: z.int().meta({ description: SESSION_TTL }),
  idle_seconds: z.int().meta({ description: IDLE }),
  created_at: time,
});

/** A connector. */
export const connector = z
  .object({
    ...connectorFacts.shape,
    last_failure: z
      .object({
        at: time,
        reason: z.string().nullable().meta({ description: "In Drawbridge's words." }),
      })
      .nullable()
      .meta({ description: "The last answer that could not be taken; null: there was none." }),
  })
  .meta({ id: "Connector" });

/** A connector as the call shows it that registers or changes it. */
export const connectorWithSecret = z
  .object({
    ...connector.shape,
    secret: z.string().meta({
      description:
        "Both sides sign with it: Drawbridge its requests, and the connector its messages.",
    }),
  })
  .meta({ id: "ConnectorWithSecret" });

/** A connector, with its last failure. */
export function toConnector(row: Connector): Shown<typeof connector> {
  const { lastFailureAt, lastFailureReason } = row;
  return {
    ...toConnectorFacts(row),
    last_failure:
      lastFailureAt === null ? null : { at: toRfc3339(lastFailureAt), reason: lastFailureReason },
  };
}

/** A connector as events show it. */
export function toConnectorFacts(
  row: Omit<ConnectorFacts, "version">,
): Shown<typeof connectorFacts> {
  return {
    type: row.type,
    url: row.url,
    timeout_seconds: row.timeoutSeconds,
    check_interval_seconds: row.checkIntervalSeconds,
    session_ttl_seconds: row.sessionTtlSeconds,
    idle_seconds: row.idleSeconds,
    created_at: toRfc3339(row.createdAt),
  };
}
