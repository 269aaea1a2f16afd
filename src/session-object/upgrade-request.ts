/** What the request for a websocket of a session says: from where, for which side, with which tokens. */
import { createHash } from "node:crypto";
import { addressBucket } from "../platform/ip-address";
import type { SocketOrigin } from "../relay/participant";

/** A request to open a websocket. */
export interface UpgradeRequest {
  origin: SocketOrigin;
  /** Whether it is for the host's side, `…/server`, or for a client's, `…/client`. */
  asHost: boolean;
  /** The device token that it shows; null: it shows a session token and a user token. */
  deviceToken: string | null;
  /** `NaN` where it is missing or no number. */
  sessionToken: number;
  /** `NaN` where it is missing or no number. */
  userToken: number;
  /** A short text that stands for the tokens that it shows: the same for the same tokens. */
  credential: string;
}

/** Reads an upgrade to `…/server` or `…/client`. */
export function readUpgradeRequest(request: Request): UpgradeRequest {
  const { pathname, searchParams } = new URL(request.url);
  const cf = request.cf as IncomingRequestCfProperties | undefined;
  const toNumber = (text: string | null | undefined) => (text == null ? null : Number(text));
  const sessionToken = toNumber(searchParams.get("session_token")) ?? Number.NaN;
  const userToken = toNumber(searchParams.get("user_token")) ?? Number.NaN;
  const deviceToken = searchParams.has("user_token") ? null : readDeviceToken(request.headers);
  return {
    origin: {
      address: addressBucket(request.headers.get("CF-Connecting-IP") ?? ""),
      latitude: toNumber(cf?.latitude),
      longitude: toNumber(cf?.longitude),
    },
    asHost: /\/server\/?$/.test(pathname),
    deviceToken,
    sessionToken,
    userToken,
    credential:
      deviceToken === null
        ? `${sessionToken}/${userToken}`
        : createHash("sha256").update(deviceToken).digest("base64"),
  };
}

function readDeviceToken(headers: Headers): string | null {
  return (
    /^(?:token|bearer)\s+(drbd_\S+)$/i.exec(headers.get("Authorization")?.trim() ?? "")?.[1] ?? null
  );
}

/**
 * The subprotocol to answer an upgrade with: the first that it offers, whatever it is called. A browser
 * that offers some and is answered with none ends the connection. Null: it offers none.
 */
export function chooseProtocol(headers: Headers): string | null {
  const offered = headers.get("Sec-WebSocket-Protocol")?.split(",") ?? [];
  // A name that is not a token (RFC 9110, 5.6.2) could not be sent back.
  return offered.map((name) => name.trim()).find((name) => TOKEN.test(name)) ?? null;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
