/** The operations of pairing on `/v1` for operators: they list requests, approve or reject them, and make setup codes. */
import * as z from "zod";
import { selectApplication } from "../../devices/application-store";
import { roleOf } from "../../devices/scopes";
import { humanText } from "../../http/human-text";
import { key, type OperationGroup, operation } from "../../http/operation";
import { pageCursor, pageLimit, pageOf, toKeysetPage } from "../../http/paging";
import { Refused } from "../../http/request-context";
import { approveRequest, rejectRequest } from "../../pairing/approve-and-reject";
import { listPairingRequests, listRequestsOfOrganisation } from "../../pairing/pairing-lists";
import { LONGEST_REASON, REQUEST_STATUSES } from "../../pairing/pairing-request";
import { createSetupCode, LONGEST_SETUP_CODE_SECONDS } from "../../pairing/setup-codes";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { time, toRfc3339 } from "../shared/wire-time";
import { role, roles, scopes, shortText } from "./device-fields";
import {
  APPLICATION_PATH,
  applicationForm,
  applicationNotFound,
  applicationRef,
  exampleApplication,
  exampleRequest,
  REQUEST_ID,
  requestForm,
} from "./device-paths";
import { pairingRequest, toRequestWire } from "./pairing-request-wire";

const REQUESTS_PATH = `${APPLICATION_PATH}/pairing/requests` as const;

const listQuery = z.strictObject({
  status: z
    .enum(REQUEST_STATUSES, `must be one of ${REQUEST_STATUSES.join(", ")}`)
    .nullable()
    .default(null)
    .meta({ description: "Only in this state." }),
  limit: pageLimit,
  cursor: pageCursor(REQUEST_ID),
});

const approveBody = z.strictObject({
  digest: shortText.optional().meta({
    description:
      "The `digest` of the request that you were shown. If the request asks for something else, nothing is approved. Left out: it is not compared.",
  }),
  roles: roles
    .optional()
    .meta({ description: "Which roles are approved. Left out: all that the device asks for." }),
  scopes: scopes.optional().meta({
    description:
      "Which scopes are approved. Left out: all that the device asks for, of the approved roles.",
  }),
});

const rejectBody = z.strictObject({
  reason: humanText(1, LONGEST_REASON)
    .nullable()
    .default(null)
    .meta({
      description: `For other operators: 1 to ${LONGEST_REASON} characters. The device is not told.`,
    }),
});

const TTL = `must be a whole number of seconds from 1 to ${LONGEST_SETUP_CODE_SECONDS}`;
const setupCodeBody = z
  .strictObject({
    role,
    scopes: scopes.meta({
      description: "What the device may ask for at most. Each scope belongs to the role.",
    }),
    ttl_seconds: z
      .int(TTL)
      .min(1, TTL)
      .max(LONGEST_SETUP_CODE_SECONDS, TTL)
      .meta({ description: "For how many seconds the code works." }),
  })
  .superRefine((body, issues) => {
    for (const [index, scope] of body.scopes.entries()) {
      if (roleOf(scope) === body.role) continue;
      issues.addIssue({
        code: "custom",
        path: ["scopes", index],
        message: "belongs to another role",
      });
    }
  });

const setupCode = z.object({ setup_code: z.string(), expires_at: time }).meta({ id: "SetupCode" });

/** Why a decision is refused because the request has ended: `toDeviceRefusal` makes these codes. */
const REQUEST_ENDED = [
  "request-approved",
  "request-rejected",
  "request-expired",
  "request-superseded",
];

/** Pairing, for the operators who decide. */
export const pairingRequests: OperationGroup = {
  name: "Pairing requests",
  description:
    "Operators see which devices ask to be let in, and approve or reject them. A setup code lets one device in without a decision.",
  page: "pairing.md",
  operations: [
    operation({
      id: "listPairingRequests",
      method: "GET",
      path: REQUESTS_PATH,
      params: applicationForm,
      caller: key("devices:list"),
      readsNearby: true,
      summary: "List the pairing requests of an application, newest first",
      description: "Those that have ended are listed too, as long as they are kept.",
      query: listQuery,
      answers: { 200: pageOf(pairingRequest) },
      refusals: { 404: ["application-not-found"] },
      example: { params: exampleApplication, query: { status: "pending" } },
      async handle(c, { params, query: { limit, cursor, status }, caller }) {
        const query = { status, before: cursor, limit: limit + 1 };
        const ref = applicationRef(params, caller);
        const rows = await listPairingRequests(c.get("db"), ref, query, Date.now());
        if (!rows) throw applicationNotFound();
        return { status: 200, body: toKeysetPage(rows, limit, ({ id }) => id, toRequestWire) };
      },
    }),
    operation({
      id: "listAllPairingRequests",
      method: "GET",
      path: "/v1/pairing/requests",
      caller: key("devices:list"),
      readsNearby: true,
      summary: "List the pairing requests of all applications, newest first",
      description:
        "Those of all applications of the organisation, each with its `application_id`. Those that have ended are listed too, as long as they are kept.",
      query: listQuery,
      answers: { 200: pageOf(pairingRequest) },
      example: { query: { status: "pending" } },
      async handle(c, { query: { limit, cursor, status }, caller: { organisationId } }) {
        const query = { status, before: cursor, limit: limit + 1 };
        const rows = await listRequestsOfOrganisation(
          c.get("db"),
          organisationId,
          query,
          Date.now(),
        );
        return { status: 200, body: toKeysetPage(rows, limit, ({ id }) => id, toRequestWire) };
      },
    }),
    operation({
      id: "approvePairingRequest",
      method: "POST",
      path: `${REQUESTS_PATH}/{id}:approve`,
      params: requestForm,
      caller: key("devices:approve"),
      summary: "Approve a pairing request",
      description:
        "Compare the fingerprint with the one that the device shows first. All that it asks for is approved, or less if you say so. You have to hold every scope that the device gets. From then on the device has this access and nothing else, even if it had more before. It collects its token with its next poll.",
      body: approveBody,
      answers: { 200: pairingRequest },
      refusals: {
        400: ["exceeds-request"],
        403: ["scope-not-held"],
        404: ["application-not-found", "request-not-found"],
        409: [...REQUEST_ENDED, "digest-mismatch"],
      },
      example: { params: exampleRequest, body: { scopes: ["operator.read"] } },
      async handle(c, { params, body: terms, caller }) {
        const approval = { applicationId: params.application, requestId: params.id, terms };
        const result = await approveRequest(deviceServices(c), caller, approval, Date.now());
        if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
        return { status: 200, body: toRequestWire(result.request) };
      },
    }),
    operation({
      id: "rejectPairingRequest",
      method: "POST",
      path: `${REQUESTS_PATH}/{id}:reject`,
      params: requestForm,
      caller: key("devices:approve"),
      summary: "Reject a pairing request",
      description: "The device is told that it was rejected, and not why.",
      body: rejectBody,
      answers: { 200: pairingRequest },
      refusals: { 404: ["application-not-found", "request-not-found"], 409: REQUEST_ENDED },
      example: { params: exampleRequest, body: { reason: "Nobody knows this device" } },
      async handle(c, { params, body: { reason }, caller }) {
        const rejection = { applicationId: params.application, requestId: params.id, reason };
        const result = await rejectRequest(deviceServices(c), caller, rejection, Date.now());
        if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
        return { status: 200, body: toRequestWire(result.request) };
      },
    }),
    operation({
      id: "createSetupCode",
      method: "POST",
      path: `${APPLICATION_PATH}/setup-codes`,
      params: applicationForm,
      caller: key("devices:approve"),
      addsRows: true,
      summary: "Make a setup code",
      description:
        "It lets one device in without a decision, with this role and these scopes, or fewer. You have to hold the scopes. The code works once, and only while your API key could still make it.",
      body: setupCodeBody,
      answers: { 201: setupCode },
      answerTexts: { 201: "The setup code, which the device sends with its pairing request." },
      refusals: { 403: ["scope-not-held"], 404: ["application-not-found"] },
      example: {
        params: exampleApplication,
        body: { role: "operator", scopes: ["operator.read"], ttl_seconds: 300 },
      },
      async handle(c, { params, body: { role, scopes, ttl_seconds }, caller }) {
        const { organisationId, applicationId } = applicationRef(params, caller);
        const [application] = await selectApplication(c.get("db"), organisationId, applicationId);
        if (!application) throw applicationNotFound();
        const code = { applicationId, role, scopes, ttlSeconds: ttl_seconds };
        const made = await createSetupCode(deviceServices(c), caller, code, Date.now());
        if (!made.ok) throw new Refused(toDeviceRefusal(made.refusal));
        return {
          status: 201,
          body: { setup_code: made.code, expires_at: toRfc3339(made.expiresAt) },
        };
      },
    }),
  ],
};
