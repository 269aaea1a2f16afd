/**
 * Reads the parameters of an RPC call: from the query, from a form body, and two of them from headers
 * too. Called by `rpc.ts`.
 */
import { readBodyBytes, readBodyText } from "../../http/body";
import { type Call, Refused } from "../../http/request-context";
import { rpcRefusal } from "./errors";

/** The parameters of one call, by name. */
export type RpcParameters = ReadonlyMap<string, string>;

/** The version of the vendor's API that this surface speaks. */
export const VERSION = "2017-08-01";

/**
 * The parameters of the query and the form body.
 * @throws Refused InvalidParameter when one parameter has two values
 */
export async function readParameters(c: Call): Promise<RpcParameters> {
  // The signature covers the bytes, so they are read first.
  await readBodyBytes(c);
  const sent = [...new URL(c.req.url).searchParams, ...new URLSearchParams(await readBodyText(c))];
  const merged = new Map<string, string>();
  for (const [name, value] of sent) {
    if ((merged.get(name) ?? value) !== value) throw twoValues(name);
    merged.set(name, value);
  }
  return merged;
}

/**
 * The name of the action, from the header or the parameters. A call without any parameter and header of the
 * RPC is probably not meant for it, so its refusal says where the API is described.
 * @throws Refused when it is missing, when header and parameter differ, or when the version is another
 */
export function readAction(c: Call, parameters: RpcParameters): string {
  const isRpcCall = parameters.size > 0 || c.req.header("x-acs-action") !== undefined;
  if (!isRpcCall) throw missing("Action", NOT_MEANT_FOR_THIS);
  const action = oneOf(c, "Action", parameters, toUpper);
  const version = oneOf(c, "Version", parameters, (text) => text);
  if (version !== VERSION) {
    throw new Refused(
      rpcRefusal(
        "InvalidApi.NotFound",
        `This API has the version ${VERSION}, not the one asked for.`,
      ),
    );
  }
  return action;
}

/**
 * A parameter that the call must have.
 * @throws Refused MissingParameter
 */
export function requireParameter(parameters: RpcParameters, name: string): string {
  const value = parameters.get(name);
  if (value !== undefined && value !== "") return value;
  throw missing(name);
}

const NOT_MEANT_FOR_THIS =
  " At / is the RPC of PolarClaw alone. The reference of the whole API is at /docs.";

function missing(name: string, more = ""): Refused {
  const message = `The parameter ${name} is missing: send it in the query or the body.${more}`;
  return new Refused(rpcRefusal("MissingParameter", message));
}

function oneOf(
  c: Call,
  name: "Action" | "Version",
  parameters: RpcParameters,
  normalise: (text: string) => string,
): string {
  const header = c.req.header(`x-acs-${name.toLowerCase()}`);
  const parameter = parameters.get(name);
  const said = [header, parameter].flatMap((text) => (text ? [normalise(text)] : []));
  if (said.length === 2 && said[0] !== said[1]) throw twoValues(name);
  return said[0] ?? requireParameter(parameters, name);
}

/**
 * The older SDK sends the action as a parameter with a capital letter first, but as its caller wrote it
 * in the header.
 */
function toUpper(action: string): string {
  return action.slice(0, 1).toUpperCase() + action.slice(1);
}

function twoValues(name: string): Refused {
  return new Refused(
    rpcRefusal("InvalidParameter", `The parameter ${name} has two different values. Send one.`),
  );
}
