/** The parameters of an RPC call, wherever they came: query, form body, and for two of them headers. */
import { readBodyText } from "../../http/body";
import { type Call, Refused } from "../../http/request-context";
import { rpcRefusal } from "./errors";

/** The parameters of one call, by name. */
export type RpcParameters = ReadonlyMap<string, string>;

/** The version of the vendor's API that this surface speaks. */
const VERSION = "2017-08-01";

/**
 * The parameters of query and form body together.
 * @throws Refused InvalidParameter when one has two values
 */
export async function readParameters(c: Call): Promise<RpcParameters> {
  const sent = [...new URL(c.req.url).searchParams, ...new URLSearchParams(await readBodyText(c))];
  const merged = new Map<string, string>();
  for (const [name, value] of sent) {
    if ((merged.get(name) ?? value) !== value) throw twoValues(name);
    merged.set(name, value);
  }
  return merged;
}

/**
 * The action that is called, from the header or the parameters.
 * @throws Refused when it is missing, said in two ways, or of another version
 */
export function readAction(c: Call, parameters: RpcParameters): string {
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
 * A parameter that the call cannot do without.
 * @throws Refused MissingParameter
 */
export function requireParameter(parameters: RpcParameters, name: string): string {
  const value = parameters.get(name);
  if (value !== undefined && value !== "") return value;
  throw new Refused(
    rpcRefusal(
      "MissingParameter",
      `The parameter ${name} is missing: send it in the query or the body.`,
    ),
  );
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

/** The older SDK sends the action in the header as its caller wrote it, and as a parameter with a capital. */
function toUpper(action: string): string {
  return action.slice(0, 1).toUpperCase() + action.slice(1);
}

function twoValues(name: string): Refused {
  return new Refused(
    rpcRefusal("InvalidParameter", `The parameter ${name} has two different values. Send one.`),
  );
}
