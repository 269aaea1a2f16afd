/**
 * The RPC of Alibaba Cloud PolarClaw: four actions at `/`, with which operators list, approve, reject
 * and remove devices.
 */
import type { Hono } from "hono";
import { idempotencyScope, runOrReplay } from "../../http/idempotency";
import { type AppEnv, type Call, type Caller, Refused } from "../../http/request-context";
import type { Permission } from "../../keys/permissions";
import { approveRequest, rejectRequest } from "../../pairing/approve-and-reject";
import { listPendingAndPaired } from "../../pairing/pairing-lists";
import { removePairedDevice } from "../../pairing/remove-and-revoke";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { rpcRefusal } from "./errors";
import { type RpcParameters, readAction, readParameters, requireParameter } from "./parameters";
import { requireRpcCaller } from "./rpc-caller";
import { toRpcDevice, toRpcPaired, toRpcPending } from "./rpc-wire";

interface Action {
  permission: Permission;
  /** Does the action. Gives the fields that only its answer has. */
  run(c: Call, caller: Caller, parameters: RpcParameters): Promise<object>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  ListPolarClawDevicePairs: {
    permission: "devices:list",
    run: async (c, { organisationId }, parameters) => {
      const applicationId = requireParameter(parameters, "ApplicationId");
      const pairs = await listPendingAndPaired(
        c.var.db,
        { organisationId, applicationId },
        Date.now(),
      );
      if (!pairs) throw new Refused(toDeviceRefusal({ code: "application-not-found" }));
      return { Pending: pairs.pending.map(toRpcPending), Paired: pairs.paired.map(toRpcPaired) };
    },
  },
  ApprovePolarClawDevicePair: {
    permission: "devices:approve",
    run: async (c, caller, parameters) => {
      const { applicationId, requestId } = readRequestAddress(parameters);
      const services = deviceServices(c);
      const approval = { applicationId, requestId, terms: {} };
      const result = await approveRequest(services, caller, approval, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      if (!result.device) throw new Error("an approval gave no device");
      return { PairRequestId: requestId, Device: toRpcDevice(result.device) };
    },
  },
  RejectPolarClawDevicePair: {
    permission: "devices:approve",
    run: async (c, caller, parameters) => {
      const { applicationId, requestId } = readRequestAddress(parameters);
      const services = deviceServices(c);
      const rejection = { applicationId, requestId, reason: null };
      const result = await rejectRequest(services, caller, rejection, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return { PairRequestId: requestId, DeviceId: result.request.deviceId };
    },
  },
  RemovePolarClawDevicePair: {
    permission: "devices:remove",
    run: async (c, caller, parameters) => {
      const applicationId = requireParameter(parameters, "ApplicationId");
      const deviceId = requireParameter(parameters, "DeviceId");
      const own = { applicationId, deviceId };
      const result = await removePairedDevice(deviceServices(c), caller, own, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return { DeviceId: deviceId };
    },
  },
};

/** Adds the surface to the app. */
export function rpcRoutes(app: Hono<AppEnv>): void {
  app.on(["GET", "POST"], "/", async (c) => {
    const parameters = await readParameters(c);
    const name = readAction(c, parameters);
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) {
      throw new Refused(
        rpcRefusal(
          "InvalidApi.NotFound",
          `There is no action of this name. There are ${Object.keys(ACTIONS).join(", ")}.`,
        ),
      );
    }
    const caller = await requireRpcCaller(c, parameters, action.permission);
    const answer = async () =>
      c.json({
        RequestId: c.var.requestId,
        Message: "successful",
        Code: 200,
        ApplicationId: parameters.get("ApplicationId"),
        ...(await action.run(c, caller, parameters)),
      });
    if (c.req.method !== "POST") return answer();
    return runOrReplay(c, idempotencyScope(caller), answer, subjectOf(name, parameters));
  });
}

/** What has to be equal in a retry of a call. A retry has a new time and a new signature. */
function subjectOf(action: string, parameters: RpcParameters): string {
  const names = ["ApplicationId", "PairRequestId", "DeviceId"];
  return JSON.stringify([action, ...names.map((name) => parameters.get(name) ?? null)]);
}

function readRequestAddress(parameters: RpcParameters) {
  return {
    applicationId: requireParameter(parameters, "ApplicationId"),
    requestId: requireParameter(parameters, "PairRequestId"),
  };
}
