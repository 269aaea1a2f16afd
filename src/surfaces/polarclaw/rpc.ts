/**
 * The RPC of Alibaba Cloud PolarClaw: four actions at `/`, with which operators list, approve, reject
 * and remove devices.
 */
import { idempotencyScope, runOrReplay } from "../../http/idempotency";
import { checkedByHandler, type OperationGroup, operation, type Shown } from "../../http/operation";
import { type Call, Refused } from "../../http/request-context";
import { ACTIONS, actionAnswer, actionName, actionParameters, type commonFields } from "./actions";
import { codesOf, rpcRefusal } from "./errors";
import {
  type RpcParameters,
  readAction,
  readParameters,
  requireParameter,
  VERSION,
} from "./parameters";
import { requireRpcCaller } from "./rpc-caller";

const shared = {
  path: "/",
  caller: checkedByHandler("apiKey", "operatorToken", "acs3Signature", "rpcSignature"),
  query: actionParameters,
  answers: { 200: actionAnswer },
  answerTexts: { 200: "What the action answers: each has a schema of its own." },
  refusals: {
    400: codesOf(400),
    403: codesOf(403),
    404: codesOf(404),
    409: codesOf(409),
    // Of a GET too: Content-Encoding is read even where there is no body.
    415: ["InvalidParameter"],
  },
  handle: answerCall,
} as const;

const PERMISSIONS_OF_ACTIONS = `Needs the permission of its action: ${actionName.options
  .map((name) => `${name} \`${ACTIONS[name].permission}\``)
  .join(", ")}.`;

const example = {
  Action: "ListPolarClawDevicePairs",
  Version: VERSION,
  ApplicationId: "pa-5hkzi4sk2io9em",
};

/** The RPC, for the SDKs of Alibaba Cloud. */
export const rpc: OperationGroup = {
  name: "RPC (PolarClaw)",
  description:
    "Operators list, approve, reject and remove devices with the SDKs of Alibaba Cloud, in the format of PolarClaw. `/v1/applications` has the same, and more.",
  page: "polarclaw.md",
  operations: [
    operation({
      ...shared,
      id: "callRpcWithGet",
      method: "GET",
      summary: "Call one of the actions, with all parameters in the query",
      description: `${PERMISSIONS_OF_ACTIONS} Whoever prefers HTML and names no action, as browsers do, gets a page about Drawbridge.`,
      // `home-page.ts` answers it.
      pageType: "text/html",
      example: { query: example },
    }),
    operation({
      ...shared,
      id: "callRpc",
      method: "POST",
      summary: "Call one of the actions, with parameters in the query, in a form body, or in both",
      description: `${PERMISSIONS_OF_ACTIONS} A parameter must not have two different values.`,
      body: actionParameters,
      bodyType: "application/x-www-form-urlencoded",
      bodyIsOptional: true,
      example: { body: example },
    }),
  ],
};

/** Answers a call of an action. */
async function answerCall(c: Call): Promise<Response> {
  const parameters = await readParameters(c);
  const name = requireActionName(readAction(c, parameters));
  const { permission, run } = ACTIONS[name];
  const caller = await requireRpcCaller(c, parameters, permission);
  const answer = async () => {
    const applicationId = requireParameter(parameters, "ApplicationId");
    const common: Shown<typeof commonFields> = {
      RequestId: c.get("requestId"),
      Message: "successful",
      Code: 200,
      ApplicationId: applicationId,
    };
    return c.json({ ...common, ...(await run(c, { caller, applicationId, parameters })) });
  };
  if (c.req.method !== "POST") return answer();
  return runOrReplay(c, idempotencyScope(caller), answer, subjectOf(name, parameters));
}

function requireActionName(name: string) {
  const known = actionName.safeParse(name);
  if (known.success) return known.data;
  throw new Refused(
    rpcRefusal(
      "InvalidApi.NotFound",
      `There is no action of this name. There are ${actionName.options.join(", ")}.`,
    ),
  );
}

/** What has to be equal in a retry of a call. A retry has a new time and a new signature. */
function subjectOf(action: string, parameters: RpcParameters): string {
  const names = ["ApplicationId", "PairRequestId", "DeviceId"];
  return JSON.stringify([action, ...names.map((name) => parameters.get(name) ?? null)]);
}
