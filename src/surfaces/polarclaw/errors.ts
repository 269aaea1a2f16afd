/** How the RPC says what is wrong: Alibaba's error object, with a fitting HTTP status. */
import * as z from "zod";
import type { Call, ErrorCode, HttpRefusal, Surface } from "../../http/request-context";

/** The codes of this surface, and the HTTP status of each. */
const STATUS = {
  MissingParameter: 400,
  InvalidParameter: 400,
  "InvalidAccessKeyId.NotFound": 404,
  IncompleteSignature: 400,
  SignatureDoesNotMatch: 403,
  SignatureNonceUsed: 400,
  "InvalidTimeStamp.Expired": 400,
  "InvalidTimeStamp.Format": 400,
  "Forbidden.RAM": 403,
  "InvalidApi.NotFound": 404,
  UnsupportedHTTPMethod: 405,
  "Throttling.User": 429,
  "PairRequest.NotFound": 404,
  "PairRequest.Expired": 409,
  "PairRequest.Superseded": 409,
  "PairRequest.AlreadyDecided": 409,
  "Device.NotFound": 404,
  "Application.NotFound": 404,
  InternalError: 500,
  ServiceUnavailable: 503,
} as const satisfies Record<string, HttpRefusal["status"]>;

/** A code of this surface. */
export type RpcCode = keyof typeof STATUS;

/**
 * The codes that this surface may use itself. Conflicts (409) come from the domain: only it knows
 * whether one lasts.
 */
export type OwnRpcCode = { [C in RpcCode]: (typeof STATUS)[C] extends 409 ? never : C }[RpcCode];

/** All codes of this surface with this HTTP status. */
export function codesOf(status: HttpRefusal["status"]): string[] {
  return Object.entries(STATUS).flatMap(([code, its]) => (its === status ? [code] : []));
}

/** A refusal with a code of this surface. */
export function rpcRefusal(code: OwnRpcCode, message: string): HttpRefusal {
  return { status: STATUS[code], code, message };
}

/** The surface of the RPC actions. */
export const rpcSurface: Surface = {
  name: "device-pairs",
  unknownKeyStatus: 401,
  owns: (path) => path === "/",
  refuse: (c, refusal) => {
    const code = toRpcCode(refusal);
    const body = {
      RequestId: c.get("requestId"),
      HostId: hostOf(c),
      Code: code,
      Message: refusal.message,
      Recommend: "Do what Message says. If that does not help, tell us the RequestId.",
    };
    return c.json(body, statusOf(code, refusal.status), refusal.headers);
  },
  errors: {
    mediaType: "application/json",
    shown: ({ status, code }) =>
      [true, false].map((lasts) => {
        const shown = toRpcCode({ status, code, lasts });
        return { status: statusOf(shown, status), code: shown };
      }),
    body: (codes) => z.intersection(rpcError, z.object({ Code: z.enum(codes) })),
  },
};

const rpcError = z
  .object({
    RequestId: z.string(),
    HostId: z.string(),
    Code: z.string().meta({ description: "What is wrong. For programs." }),
    Message: z
      .string()
      .meta({ description: "What is wrong, and what to do about it. For people." }),
    Recommend: z.string(),
  })
  .meta({ id: "RpcError" });

/** Alibaba has no code for a compressed body, so only the status tells. */
function statusOf(code: RpcCode, status: HttpRefusal["status"]): HttpRefusal["status"] {
  return status === 415 ? 415 : STATUS[code];
}

/** The host in the Host header. The client has signed it. */
export function hostOf(c: Call): string {
  return c.req.header("Host") ?? new URL(c.req.url).host;
}

/** The code of this surface for a refusal of any part of Drawbridge. */
function toRpcCode(refusal: ErrorCode & { lasts?: boolean }): RpcCode {
  if (isRpcCode(refusal.code)) return refusal.code;
  if (refusal.status === 429) return "Throttling.User";
  switch (refusal.code) {
    case "unauthenticated":
    case "unknown-key":
    case "expired-key":
    case "blocked-key":
    case "session-ended":
      return "InvalidAccessKeyId.NotFound";
    case "address-refused":
    case "missing-permission":
    case "scope-not-held":
      return "Forbidden.RAM";
    case "method-not-allowed":
      return "UnsupportedHTTPMethod";
    case "unknown-path":
      return "InvalidApi.NotFound";
    case "organisation-not-found":
    case "application-not-found":
      return "Application.NotFound";
    case "request-not-found":
      return "PairRequest.NotFound";
    case "request-expired":
      return "PairRequest.Expired";
    case "request-superseded":
      return "PairRequest.Superseded";
    case "request-approved":
    case "request-rejected":
      return "PairRequest.AlreadyDecided";
    case "device-not-found":
      return "Device.NotFound";
  }
  if (refusal.status === 503) return "ServiceUnavailable";
  // A conflict of the moment, such as a repeat while the first call runs: the same call is right later.
  if (refusal.status === 409 && !refusal.lasts) return "ServiceUnavailable";
  return refusal.status === 500 ? "InternalError" : "InvalidParameter";
}

function isRpcCode(code: string): code is RpcCode {
  return Object.hasOwn(STATUS, code);
}
