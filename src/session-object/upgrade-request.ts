/**
 * What the request for a websocket of a session says: from where, for which side, with which tokens, with
 * which subprotocol.
 */
import { createHash } from "node:crypto";
import { addressBucket } from "../platform/ip-address";
import type { SocketOrigin } from "../relay/participant";
import { type Role, SUBPROTOCOL } from "../relay/protocol";

/** A request to open a websocket. */
export interface UpgradeRequest {
  origin: SocketOrigin;
  /**
   * For which side its link is: `…/server` for the host's, `…/client` for the clients'. Null: with
   * `drawbridge.v1` either link lets in both.
   */
  side: Role | null;
  /** The device token that it shows; null: it shows a session token and a user token. */
  deviceToken: string | null;
  /** `NaN` where it is missing or no number. */
  sessionToken: number;
  /** `NaN` where it is missing or no number. */
  userToken: number;
  /** A short text that stands for the tokens that it shows: the same for the same tokens. */
  credential: string;
}

/** The tokens of a request: a device token, or those of the session and of a user. */
type ShownTokens = Pick<UpgradeRequest, "deviceToken" | "sessionToken" | "userToken">;

/** Reads an upgrade to `…/server` or `…/client`. */
export function readUpgradeRequest(request: Request): UpgradeRequest {
  const url = new URL(request.url);
  const cf = request.cf as IncomingRequestCfProperties | undefined;
  const isV1 = offersSubprotocol(request.headers);
  const inProtocols = isV1 ? offered(request.headers).find(isCredential) : undefined;
  const tokens =
    inProtocols === undefined
      ? readTokens(url.searchParams, request.headers)
      : readCredential(inProtocols);
  const { deviceToken, sessionToken, userToken } = tokens;
  return {
    origin: {
      address: addressBucket(request.headers.get("CF-Connecting-IP") ?? ""),
      latitude: toNumber(cf?.latitude),
      longitude: toNumber(cf?.longitude),
    },
    side: isV1 ? null : /\/server\/?$/.test(url.pathname) ? "host" : "client",
    ...tokens,
    credential:
      deviceToken === null
        ? `${sessionToken}/${userToken}`
        : createHash("sha256").update(deviceToken).digest("base64"),
  };
}

/** Reads the query, or the header `Authorization`. */
function readTokens(query: URLSearchParams, headers: Headers): ShownTokens {
  return {
    deviceToken: query.has("user_token") ? null : readDeviceToken(headers),
    sessionToken: toNumber(query.get("session_token")) ?? Number.NaN,
    userToken: toNumber(query.get("user_token")) ?? Number.NaN,
  };
}

/** Reads a credential among the subprotocols. One of another form is a wrong token. */
function readCredential(name: string): ShownTokens {
  const [, deviceToken = null] = /^device\.(drbd_\S+)$/.exec(name) ?? [];
  const [, sessionToken, userToken] = /^tokens\.(\d{1,10})\.(\d{1,10})$/.exec(name) ?? [];
  return {
    deviceToken,
    sessionToken: Number(sessionToken ?? Number.NaN),
    userToken: Number(userToken ?? Number.NaN),
  };
}

function readDeviceToken(headers: Headers): string | null {
  return (
    /^(?:token|bearer)\s+(drbd_\S+)$/i.exec(headers.get("Authorization")?.trim() ?? "")?.[1] ?? null
  );
}

function toNumber(text: string | null | undefined): number | null {
  return text == null ? null : Number(text);
}

/** Whether an upgrade offers `drawbridge.v1`: then tokens and refusals travel inside the websocket. */
export function offersSubprotocol(headers: Headers): boolean {
  return offered(headers).includes(SUBPROTOCOL);
}

/**
 * The subprotocol to answer an upgrade with: `drawbridge.v1` where it is offered, else the first, whatever
 * it is called. A browser that offers some and is answered with none ends the connection. A credential is
 * never sent back. Null: it offers none.
 */
export function chooseProtocol(headers: Headers): string | null {
  if (offersSubprotocol(headers)) return SUBPROTOCOL;
  // A name that is not a token (RFC 9110, 5.6.2) could not be sent back.
  return offered(headers).find((name) => TOKEN.test(name) && !isCredential(name)) ?? null;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

function offered(headers: Headers): string[] {
  const names = headers.get("Sec-WebSocket-Protocol")?.split(",") ?? [];
  return names.map((name) => name.trim());
}

/** Whether a subprotocol is a place for tokens: `tokens.<session_token>.<user_token>`, `device.<token>`. */
function isCredential(name: string): boolean {
  return name.startsWith("tokens.") || name.startsWith("device.");
}
