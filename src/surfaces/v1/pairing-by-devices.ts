/**
 * The operations of pairing on `/v1` for devices, which have no API key: they fetch a challenge, send a
 * request, and poll for the decision.
 */
import * as z from "zod";
import { type Application, selectApplication } from "../../devices/application-store";
import { readCredential } from "../../http/authenticate";
import { requireSpace } from "../../http/database-full";
import { refuseAndCount } from "../../http/failed-attempts";
import {
  checkedByHandler,
  type OperationGroup,
  open,
  operation,
  type Reply,
} from "../../http/operation";
import { countCall, POLL_SECONDS, requireBelowLimit } from "../../http/rate-limits";
import { type Call, clientIp, Refused } from "../../http/request-context";
import { newChallenge } from "../../pairing/challenge";
import { pollRequest } from "../../pairing/collect-token";
import { fingerprint } from "../../pairing/device-key";
import { judgeProof } from "../../pairing/device-proof";
import type { PairingAnswer } from "../../pairing/pairing-plan";
import { isPollToken, pollToken } from "../../pairing/poll-token";
import { requestPairing } from "../../pairing/request-pairing";
import { type DeviceRefusal, toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { time, toRfc3339 } from "../shared/wire-time";
import {
  APPLICATION_PATH,
  applicationForm,
  applicationNotFound,
  exampleApplication,
  exampleRequest,
  requestForm,
} from "./device-paths";
import { newDeviceToken } from "./device-wire";
import { pairingRequestBody } from "./pairing-request-body";
import { fingerprintText, requestStatus } from "./pairing-request-wire";

const challenge = z
  .object({
    nonce: z.string().meta({ description: "The device signs it with its request." }),
    expires_at: time,
    server_time: time.meta({
      description: "For devices whose clock is wrong: send it as `signed_at`.",
    }),
  })
  .meta({ id: "PairingChallenge" });

const pairedAtOnce = z
  .object({
    status: z.literal("approved"),
    pair_request_id: z.string().nullable().meta({
      description: "The request that the setup code approved. Null: this was approved before.",
    }),
    device_id: z.string(),
    ...newDeviceToken.shape,
  })
  .meta({ id: "PairedDeviceToken" });

const pendingRequest = z
  .object({
    pair_request_id: z.string(),
    status: z.literal("pending"),
    expires_at: time,
    poll_token: z.string().meta({ description: "The credential of the poll (`drbp_…`)." }),
    interval: z
      .int()
      .meta({ description: "How many seconds to wait between two polls, at least." }),
    fingerprint: fingerprintText,
  })
  .meta({ id: "PendingPairingRequest" });

const requestAnswers = { 200: pairedAtOnce, 202: pendingRequest };

const poll = z
  .union([
    z.object({ status: z.literal("approved"), ...newDeviceToken.shape }),
    z.object({ status: requestStatus }),
  ])
  .meta({
    id: "PairingPoll",
    description:
      "The first answer after the approval has the token, its role and its scopes. Every other answer has the status alone, also `approved`: then the token was collected before, or the approval no longer stands.",
  });

/** Pairing, for the devices that ask to be let in. */
export const pairingByDevices: OperationGroup = {
  name: "Pairing (devices)",
  description:
    "A device asks to be let in, and collects its token. It has no API key: it has an Ed25519 key of its own. It gets a challenge, signs its request together with the challenge, and polls until an operator has decided.",
  page: "pairing.md",
  operations: [
    operation({
      id: "createPairingChallenge",
      method: "POST",
      path: `${APPLICATION_PATH}/pairing/challenges`,
      params: applicationForm,
      caller: open,
      origins: "any",
      summary: "Get a challenge to sign, as a device",
      description:
        "Step 1 of 3 of a device. A challenge is good for 120 seconds, for this application, and for one request.",
      answers: { 201: challenge },
      refusals: { 404: ["application-not-found"], 429: ["too-many-asks"] },
      example: { params: exampleApplication },
      async handle(c, { params }) {
        const now = Date.now();
        countCall(c, "pairingCalls", now);
        const { id } = await requireApplication(c, params.application);
        const { nonce, expiresAt } = newChallenge(c.get("config").secret, id, now);
        return {
          status: 201,
          body: { nonce, expires_at: toRfc3339(expiresAt), server_time: toRfc3339(now) },
        };
      },
    }),
    operation({
      id: "requestPairing",
      method: "POST",
      path: `${APPLICATION_PATH}/pairing/requests`,
      params: applicationForm,
      caller: open,
      origins: "any",
      summary: "Ask to be let in, as a device",
      description: [
        "Step 2 of 3 of a device. The credential is `device.signature`: the Ed25519 signature of this string, as UTF-8, with the device's key.",
        "```\nv3|device id|client id|client mode|role|scopes joined with ,|signed_at|setup code|nonce|platform|device family\n```",
        "After `v3` come ten fields of the body. Platform and family are signed without white space around them, and with A to Z in lower case. The others are signed as they are sent. What is not sent is empty. `docs/pairing.md` has code, and a signature to test yours with.",
        "A request waits for a decision for 300 seconds. Asking for the same again gives the same request, and 300 seconds more. Asking for more takes its place. Each token that a device gets makes the one before it stop.",
        "The body that is filled in here shows the form only: its `nonce` is made up, so it is refused. A nonce comes from step 1.",
      ].join("\n\n"),
      // A device that is paired gets its token even then, and one that waits is answered as before.
      addsRows: true,
      body: pairingRequestBody,
      answers: requestAnswers,
      answerTexts: {
        200: "A token at once: the device is paired already with the same platform and family, and asks for no more than is approved; or its setup code let it in.",
        202: "An operator has to decide. The device shows the `fingerprint` to the person in front of it, and polls with the `poll_token`.",
      },
      refusals: {
        400: ["invalid-key", "wrong-device-id"],
        401: ["unknown-nonce", "nonce-expired", "stale-signature", "wrong-signature"],
        403: ["invalid-setup-code", "exceeds-setup-code"],
        404: ["application-not-found"],
        409: ["nonce-used"],
        429: [
          "too-many-asks",
          "too-many-failures",
          "too-many-requests-pending",
          "too-many-new-requests",
        ],
      },
      example: {
        params: exampleApplication,
        body: {
          device: {
            id: "34750f98bd59fcfc946da45aaabe933be154a4b5094e1c4abf42866505f3c97e",
            public_key: "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w",
            signed_at: 1737264000000,
            nonce: "nonce-abc",
            signature:
              "GQJN-lVtmP2JK_XH7YgvsiUTdSXlUz7WK1grMAhiOfVs6uzy0oNRbCw6Prds03N-IjVMdRLkYKVVCMZbEzZQBA",
          },
          client: { id: "cli", mode: "cli", platform: " Linux ", device_family: "Server" },
          role: "operator",
          scopes: ["operator.read", "operator.write"],
          setup_code: "tok-123",
        },
      },
      async handle(c, { params, readBody }) {
        countCall(c, "pairingCalls", Date.now());
        const sent = await readBody();
        const application = await requireApplication(c, params.application);
        const answer = await judgeAndRequest(c, application, sent);
        return toRequestReply(c, application, sent.requested.deviceId, answer);
      },
    }),
    operation({
      id: "pollPairingRequest",
      method: "GET",
      path: `${APPLICATION_PATH}/pairing/requests/{id}`,
      params: requestForm,
      caller: checkedByHandler("pollToken"),
      origins: "any",
      summary: "Ask for the decision, as a device",
      description: `Step 3 of 3 of a device. The credential is the \`poll_token\`. Poll every ${POLL_SECONDS} seconds; faster is refused with \`slow_down\`. If the answer with the token is lost, sign a new request: it is answered with a fresh token.`,
      answers: { 200: poll },
      answerTexts: {
        200: "The state of the request. The first answer after the approval has the token.",
      },
      refusals: {
        401: ["unauthenticated", "wrong-poll-token"],
        404: ["request-not-found"],
        429: ["too-many-failures", "slow_down"],
        // The first answer after the approval stores that the token was collected.
        503: ["changed-meanwhile"],
      },
      example: {
        params: exampleRequest,
      },
      async handle(c, { params: { application, id } }) {
        const now = Date.now();
        const sent = readCredential(c, now, "poll token");
        if (!isPollToken(c.get("config").secret, application, id, sent)) {
          return refuseAndCount(c, now, wrongPollToken);
        }
        countCall(c, "polls", now, id);
        const result = await pollRequest(c.get("db"), application, id, now);
        if (!result) throw new Refused(toDeviceRefusal({ code: "request-not-found" }));
        const { status, token } = result;
        if (!token) return { status: 200, body: { status } };
        const { role, scopes } = token;
        const collected = { status: "approved" as const, device_token: token.token, role, scopes };
        return { status: 200, body: collected };
      },
    }),
  ],
};

const wrongPollToken = {
  status: 401,
  code: "wrong-poll-token",
  message: "This is not the poll_token of this request. Ask again to get it again.",
  headers: { "WWW-Authenticate": "Bearer" },
} as const;

async function requireApplication(c: Call, id: string): Promise<Application> {
  const [application] = await selectApplication(c.get("db"), null, id);
  if (!application) throw applicationNotFound();
  return application;
}

/** Checks the proof of a pairing request, and handles the request. */
async function judgeAndRequest(
  c: Call,
  application: Application,
  { requested, proof }: z.output<typeof pairingRequestBody>,
): Promise<PairingAnswer> {
  const now = Date.now();
  const signed = { applicationId: application.id, requested, proof };
  const unproven = await judgeProof(c.get("config").secret, signed, now);
  if (unproven) return refuse(c, unproven);
  const { nonce, setupCode } = proof;
  if (setupCode !== null) requireBelowLimit(c, "failedAuthentications", now);
  const proven = { requested, nonce, setupCode, remoteIp: clientIp(c) };
  const services = { ...deviceServices(c), requireSpace: () => requireSpace(c) };
  const result = await requestPairing(services, application, proven, now);
  return result.type === "refused" ? refuse(c, result.refusal) : result;
}

/**
 * Refuses a pairing request. A wrong signature or setup code counts as a failed authentication, against
 * guessing.
 */
function refuse(c: Call, refusal: DeviceRefusal): never {
  if (refusal.code === "wrong-signature" || refusal.code === "invalid-setup-code") {
    return refuseAndCount(c, Date.now(), toDeviceRefusal(refusal));
  }
  throw new Refused(toDeviceRefusal(refusal));
}

function toRequestReply(
  c: Call,
  application: Application,
  deviceId: string,
  answer: PairingAnswer,
): Reply<typeof requestAnswers> {
  if (answer.type === "token") {
    const { requestId, token, role, scopes } = answer;
    return {
      status: 200,
      body: {
        status: "approved",
        pair_request_id: requestId,
        device_id: deviceId,
        device_token: token,
        role,
        scopes,
      },
    };
  }
  const { id, expiresAt } = answer.request;
  return {
    status: 202,
    body: {
      pair_request_id: id,
      status: "pending",
      expires_at: toRfc3339(expiresAt),
      poll_token: pollToken(c.get("config").secret, application.id, id),
      interval: POLL_SECONDS,
      fingerprint: fingerprint(deviceId),
    },
  };
}
