/**
 * The operations of connectors on `/v1`: the services of an organisation that check credentials for its
 * sources.
 */
import * as z from "zod";
import { key, type OperationGroup, operation } from "../../http/operation";
import { type Call, Refused } from "../../http/request-context";
import { requireSendable } from "../../http/sendable-address";
import { changeStoreOf } from "../../http/services";
import { ADDRESS_REFUSALS } from "../../outbound/address";
import { type Connector, connectorSecrets, MOCK_TYPE } from "../../sources/connector";
import {
  deleteConnector,
  putConnector,
  rotateConnectorSecret,
} from "../../sources/connector-changes";
import { findConnector } from "../../sources/connector-store";
import { SOURCE_TYPE, SOURCE_TYPE_RULE } from "../shared/id-forms";
import { connector, connectorWithSecret, putConnectorBody, toConnector } from "./connector-wire";
import { rotateSecretBody } from "./webhook-wire";

const PATH = "/v1/connectors/{type}";

const byType = {
  params: {
    type: z.string().regex(SOURCE_TYPE).meta({
      description: "The type of sources: 1 to 64 letters, digits, dots, `_` or `-`.",
    }),
  },
  example: { params: { type: "icloud.account" } },
} as const;

/**
 * Connectors. Changes need `connectors:write`, since a connector receives end users' credentials. Callers
 * with `sessions:read` may see how sessions are checked, and why a check failed.
 */
export const connectors: OperationGroup = {
  name: "Connectors",
  description:
    "A connector is an HTTPS service of yours that checks the credentials of sources of one type.",
  page: "source-sessions.md",
  operations: [
    operation({
      id: "putConnector",
      method: "PUT",
      ...byType,
      path: PATH,
      caller: key("connectors:write"),
      summary: "Register a connector, or change it",
      description:
        "It makes the connector of this type, or changes the one that is there, which keeps its secret. A field that is left out gets its default, also in a change.",
      body: putConnectorBody,
      answers: { 200: connectorWithSecret },
      answerTexts: { 200: "The connector, with the secret that signs what is sent to it." },
      refusals: { 400: ["invalid-parameter", ...ADDRESS_REFUSALS] },
      example: {
        ...byType.example,
        body: { url: "https://connector.example.com/verify", check_interval_seconds: 600 },
      },
      async handle(c, { params, body: terms, caller: { organisationId } }) {
        const type = requireType(params.type);
        requireSendable(c, "url", terms.url);
        const put = await putConnector(
          changeStoreOf(c),
          { organisationId, type },
          terms,
          Date.now(),
        );
        const secret = newestSecret(c, organisationId, put);
        return { status: 200, body: { ...toConnector(put), secret } };
      },
    }),
    operation({
      id: "getConnector",
      method: "GET",
      ...byType,
      path: PATH,
      caller: key("sessions:read"),
      summary: "Show a connector, and why its last answer could not be taken",
      description: "The secret is not shown.",
      answers: { 200: connector },
      refusals: { 400: ["invalid-parameter"], 404: ["connector-not-found"] },
      async handle(c, { params, caller }) {
        const type = requireType(params.type);
        const found = await findConnector(c.get("db"), caller.organisationId, type);
        if (!found) throw new Refused(unknownConnector);
        return { status: 200, body: toConnector(found) };
      },
    }),
    operation({
      id: "deleteConnector",
      method: "DELETE",
      ...byType,
      path: PATH,
      caller: key("connectors:write"),
      summary: "Delete a connector",
      description: "No more sessions can be made for sources of its type.",
      answers: { 204: null },
      refusals: { 400: ["invalid-parameter"], 404: ["connector-not-found"] },
      async handle(c, { params, caller: { organisationId } }) {
        const address = { organisationId, type: requireType(params.type) };
        const deleted = await deleteConnector(changeStoreOf(c), address, Date.now());
        if (!deleted) throw new Refused(unknownConnector);
        return { status: 204 };
      },
    }),
    operation({
      id: "rotateConnectorSecret",
      method: "POST",
      ...byType,
      path: `${PATH}/secret:rotate`,
      caller: key("connectors:write"),
      summary: "Give a connector a new secret",
      description:
        "Until the grace is over, Drawbridge signs with both secrets, and takes messages that are signed with either.",
      body: rotateSecretBody,
      bodyIsOptional: true,
      answers: {
        200: z.object({ secret: z.string().meta({ description: "The new one." }) }),
      },
      refusals: { 400: ["invalid-parameter"], 404: ["connector-not-found"] },
      example: { ...byType.example, body: { grace_seconds: 3_600 } },
      async handle(c, { params, body: { graceMs }, caller: { organisationId } }) {
        const address = { organisationId, type: requireType(params.type) };
        const rotated = await rotateConnectorSecret(changeStoreOf(c), address, graceMs, Date.now());
        if (!rotated) throw new Refused(unknownConnector);
        return { status: 200, body: { secret: newestSecret(c, organisationId, rotated) } };
      },
    }),
  ],
};

function newestSecret(c: Call, organisationId: number, row: Connector): string {
  return connectorSecrets(c.get("config").secret, organisationId, row, Date.now())[0];
}

const unknownConnector = {
  status: 404,
  code: "connector-not-found",
  message: "There is no connector for this type of sources.",
} as const;

/** The type of the path. */
function requireType(type: string): string {
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
