/**
 * Every operation, and how tests call it: what its declaration says, and for the few whose handler checks
 * an API key itself, what that one asks for.
 */
import { env } from "cloudflare:workers";
import type { Operation } from "../../src/http/operation";
import type { Surface } from "../../src/http/request-context";
import type { Permission } from "../../src/keys/permissions";
import { SURFACES } from "../../src/surfaces/all";
import { type Answer, call, type Tenant } from "./client";
import { signIn } from "./keys";
import { REQUEST_ROWS, type RequestRow } from "./requests/all";

/** An operation, with what decides how it is tested. */
export interface TestedOperation {
  id: string;
  operation: Operation;
  surface: Surface;
  /**
   * A permission: an API key that holds it, or its operator. `any key`: whatever it holds. `root`: the
   * root token. `handler`: the handler checks the credential, or there is none.
   */
  guard: Permission | "any key" | "root" | "handler";
  /** Where the API key goes. */
  keyIn: "header" | "body";
  /** Whether it takes the session token of an operator only, and no API key. */
  isForOperators: boolean;
}

/** What an API key needs that a handler checks, and where it goes if not into the Authorization header. */
const KEYS_CHECKED_BY_HANDLERS: Record<string, { guard: Permission; keyIn?: "body" }> = {
  hostRelaySession: { guard: "relays:host" },
  rotateDeviceToken: { guard: "devices:manage" },
  createSessionToken: { guard: "operator:sign-in", keyIn: "body" },
};

/** All operations of all surfaces. */
export const TESTED_OPERATIONS: readonly TestedOperation[] = SURFACES.flatMap(
  ([surface, ...groups]) =>
    groups.flatMap(({ operations }) =>
      operations.map((operation) => ({
        id: operation.id,
        operation,
        surface,
        guard: guardOf(operation),
        keyIn: KEYS_CHECKED_BY_HANDLERS[operation.id]?.keyIn ?? "header",
        isForOperators: operation.refusals?.[400]?.includes("not-a-session-token") ?? false,
      })),
    ),
);

function guardOf({ id, caller }: Operation): TestedOperation["guard"] {
  if (caller.by === "key") return caller.permission ?? "any key";
  if (caller.by === "root") return "root";
  if (caller.by === "root-or-key") return caller.permission;
  return KEYS_CHECKED_BY_HANDLERS[id]?.guard ?? "handler";
}

/** The operations whose guard is an API key. */
export const KEYED_OPERATIONS = TESTED_OPERATIONS.filter(
  ({ guard }) => guard !== "root" && guard !== "handler",
);

/** A request, and the status of its answer. */
export interface GoodRequest {
  /** With its query. */
  path: string;
  body: Record<string, unknown> | undefined;
  status: number;
}

/** Makes what the request needs in this organisation, and then the request: `requests/all.ts`. */
export async function goodRequest(
  { operation }: TestedOperation,
  tenant: Tenant,
): Promise<GoodRequest> {
  const row: RequestRow = (await REQUEST_ROWS[operation.id]?.(tenant)) ?? {};
  const { params = {}, query = {}, body, status } = { ...operation.example, ...row };
  return {
    path: fillPath(operation, params, query),
    body,
    status: status ?? successOf(operation),
  };
}

/** The only 2xx that an operation declares. */
function successOf({ id, answers }: Operation): number {
  const successes = Object.keys(answers)
    .map(Number)
    .filter((status) => status >= 200 && status < 300);
  const [success] = successes;
  if (success !== undefined && successes.length === 1) return success;
  throw new Error(
    `${id} declares ${successes.length} answers with 2xx: its row must say which status is meant`,
  );
}

/** The path of an operation, with these parameters and this query. */
export function fillPath(
  { id, path }: Operation,
  params: Record<string, string | number>,
  query: Record<string, string>,
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`the request of ${id} lacks ${name}`);
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams(query).toString();
  return search === "" ? filled : `${filled}?${search}`;
}

/** A credential of this organisation that may do everything; null: the handler needs none. */
export async function fullCredential(at: TestedOperation, tenant: Tenant): Promise<string | null> {
  if (at.guard === "handler") return null;
  if (at.guard === "root") return env.DRAWBRIDGE_ROOT_TOKEN;
  return at.isForOperators ? signIn(tenant.key) : tenant.key;
}

/** Sends a request with this credential; null: with none. */
export function send(
  { operation, keyIn }: TestedOperation,
  { path, body }: Pick<GoodRequest, "path" | "body">,
  credential: string | null,
  options: { headers?: Record<string, string>; ip?: string } = {},
): Promise<Answer> {
  const shown = credential === null ? {} : { key: credential };
  return callOperation(operation, path, {
    ...options,
    ...(keyIn === "header" ? shown : {}),
    body: keyIn === "body" && credential !== null ? { ...body, token: credential } : body,
  });
}

/** Calls an operation at this path, with a body of the media type that it takes. */
export function callOperation(
  { method, bodyType }: Operation,
  path: string,
  { body, headers, ...options }: CallOptions,
): Promise<Answer> {
  const isForm = bodyType === "application/x-www-form-urlencoded";
  const form = new URLSearchParams(body as Record<string, string>).toString();
  return call(method, path, {
    ...options,
    headers: { ...(isForm ? { "Content-Type": bodyType } : {}), ...headers },
    ...(body === undefined ? {} : { body: isForm ? form : body }),
  });
}

interface CallOptions {
  body: Readonly<Record<string, unknown>> | undefined;
  headers?: Record<string, string>;
  ip?: string;
  key?: string;
}
