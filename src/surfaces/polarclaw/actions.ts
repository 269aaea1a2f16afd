/** The four actions of the RPC: what the caller must hold, what each does, and what its answer has. */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import { type Call, type Caller, Refused } from "../../http/request-context";
import type { Permission } from "../../keys/permissions";
import { approveRequest, rejectRequest } from "../../pairing/approve-and-reject";
import { listPendingAndPaired } from "../../pairing/pairing-lists";
import { removePairedDevice } from "../../pairing/remove-and-revoke";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { type RpcParameters, requireParameter, VERSION } from "./parameters";
import {
  rpcDevice,
  rpcPaired,
  rpcPending,
  toRpcDevice,
  toRpcPaired,
  toRpcPending,
} from "./rpc-wire";

/** The names of the actions. */
export const actionName = z.enum([
  "ListPolarClawDevicePairs",
  "ApprovePolarClawDevicePair",
  "RejectPolarClawDevicePair",
  "RemovePolarClawDevicePair",
]);

/** A call of an action by a caller who may make it. */
interface ActionCall {
  caller: Caller;
  /** The application that it is about. */
  applicationId: string;
  parameters: RpcParameters;
}

interface Action {
  permission: Permission;
  /** The fields that only the answer of this action has. */
  answer: z.ZodObject;
  /** Does the action, and gives those fields. */
  run(c: Call, call: ActionCall): Promise<object>;
}

/** Declares an action. The compiler checks that it gives the fields of its answer. */
function action<S extends z.ZodObject>(
  declaration: Action & { answer: S; run(c: Call, call: ActionCall): Promise<Shown<S>> },
): Action {
  return declaration;
}

/** The actions by name. */
export const ACTIONS: Readonly<Record<z.output<typeof actionName>, Action>> = {
  ListPolarClawDevicePairs: action({
    permission: "devices:list",
    answer: z.object({ Pending: z.array(rpcPending), Paired: z.array(rpcPaired) }),
    async run(c, { caller: { organisationId }, applicationId }) {
      const application = { organisationId, applicationId };
      const pairs = await listPendingAndPaired(c.get("db"), application, Date.now());
      if (!pairs) throw new Refused(toDeviceRefusal({ code: "application-not-found" }));
      return { Pending: pairs.pending.map(toRpcPending), Paired: pairs.paired.map(toRpcPaired) };
    },
  }),
  ApprovePolarClawDevicePair: action({
    permission: "devices:approve",
    answer: z.object({ PairRequestId: z.string(), Device: rpcDevice }),
    async run(c, { caller, applicationId, parameters }) {
      const requestId = requireParameter(parameters, "PairRequestId");
      const approval = { applicationId, requestId, terms: {} };
      const result = await approveRequest(deviceServices(c), caller, approval, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      if (!result.device) throw new Error("an approval gave no device");
      return { PairRequestId: requestId, Device: toRpcDevice(result.device) };
    },
  }),
  RejectPolarClawDevicePair: action({
    permission: "devices:approve",
    answer: z.object({ PairRequestId: z.string(), DeviceId: z.string() }),
    async run(c, { caller, applicationId, parameters }) {
      const requestId = requireParameter(parameters, "PairRequestId");
      const rejection = { applicationId, requestId, reason: null };
      const result = await rejectRequest(deviceServices(c), caller, rejection, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return { PairRequestId: requestId, DeviceId: result.request.deviceId };
    },
  }),
  RemovePolarClawDevicePair: action({
    permission: "devices:remove",
    answer: z.object({ DeviceId: z.string() }),
    async run(c, { caller, applicationId, parameters }) {
      const deviceId = requireParameter(parameters, "DeviceId");
      const own = { applicationId, deviceId };
      const result = await removePairedDevice(deviceServices(c), caller, own, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return { DeviceId: deviceId };
    },
  }),
};

/**
 * The parameters of all actions. This only describes them, and refuses nothing: `parameters.ts` reads them,
 * since each may stand in the query or in the body, and two of them in a header.
 */
export const actionParameters = z.object({
  Action: z.string().optional().meta({
    enum: actionName.options,
    description: "What to do. The header `x-acs-action` may say it instead.",
  }),
  Version: z
    .string()
    .optional()
    .meta({
      enum: [VERSION],
      description: "The version of the API. The header `x-acs-version` may say it instead.",
    }),
  ApplicationId: z
    .string()
    .optional()
    .meta({ description: "The id of the application. Every action needs it." }),
  PairRequestId: z
    .string()
    .optional()
    .meta({ description: "Which pairing request to approve or to reject." }),
  DeviceId: z.string().optional().meta({ description: "Which device to remove." }),
});

/** The fields that all answers have. */
export const commonFields = z.object({
  RequestId: z.string(),
  Message: z.literal("successful"),
  Code: z.literal(200),
  ApplicationId: z.string(),
});

/** The answer of any action. */
export const actionAnswer = z.union(
  actionName.options.map((name) =>
    z
      .object({ ...commonFields.shape, ...ACTIONS[name].answer.shape })
      .meta({ id: `${name}Answer` }),
  ),
);
