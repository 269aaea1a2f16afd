/** Who a websocket of a session is, by its tokens or its device, and how often somebody may be wrong. */
import { timingSafeEqual } from "node:crypto";
import { HOST } from "../relay/participant";
import { FailureLock } from "../relay/wrong-token-lock";
import type { RelayUser, Session, SessionRefusal } from "../session/machine";
import type { SessionTokens } from "../session/tokens";

/** Why a websocket was not let in. */
export type AdmissionRefusal =
  | SessionRefusal
  | { code: "wrong-token" }
  | { code: "user-revoked" }
  | { code: "device-not-paired" | "device-revoked" | "device-removed" }
  | { code: "session-not-shown" | "device-not-read" | "permissions-not-read" }
  | { code: "locked"; retryAfterSeconds: number };

/** What an upgrade says of itself. */
export interface Knock {
  ip: string;
  /** Whether it asks for the host's side, `…/server`, or for a client's. */
  asHost: boolean;
  /** The device token that it shows; null: it comes with tokens of the session. */
  deviceToken: string | null;
  sessionToken: number;
  userToken: number;
  /** Where it comes from, as far as the platform knows. */
  place: { latitude: number | null; longitude: number | null };
}

/** The session at whose door it knocks. */
export interface Door {
  session: Session;
  tokens: SessionTokens;
  hub: { isConnected(n: number): boolean };
}

/** Reads an upgrade to `…/server` or `…/client`. */
export function readKnock(request: Request): Knock {
  const { pathname, searchParams } = new URL(request.url);
  const cf = request.cf as IncomingRequestCfProperties | undefined;
  const toNumber = (text: string | null | undefined) => (text == null ? null : Number(text));
  return {
    ip: request.headers.get("CF-Connecting-IP") ?? "",
    asHost: pathname.endsWith("/server"),
    deviceToken: searchParams.has("user_token") ? null : readDeviceToken(request.headers),
    sessionToken: toNumber(searchParams.get("session_token")) ?? Number.NaN,
    userToken: toNumber(searchParams.get("user_token")) ?? Number.NaN,
    place: { latitude: toNumber(cf?.latitude), longitude: toNumber(cf?.longitude) },
  };
}

function readDeviceToken(headers: Headers): string | null {
  return /^bearer\s+(drbd_\S+)$/i.exec(headers.get("Authorization")?.trim() ?? "")?.[1] ?? null;
}

/** What one session remembers of those who knocked: in memory, while its object lives. */
export class Admission {
  readonly #lock = new FailureLock();

  /** The refusal of an address that was wrong too often; null: it may try. `now`: Unix milliseconds. */
  locked({ ip }: Knock, now: number): AdmissionRefusal | null {
    const retryAfterSeconds = this.#lock.secondsLeft(ip, now);
    return retryAfterSeconds > 0 ? { code: "locked", retryAfterSeconds } : null;
  }

  /** Counts one who was not let in for what it showed. `now`: Unix milliseconds. */
  refuse({ ip }: Knock, now: number): AdmissionRefusal {
    this.#lock.fail(ip, now);
    return { code: "wrong-token" };
  }
}

/** Whom it may be that knocks with tokens of the session: the one user of this side, or nobody. */
export function usersWithTokens(knock: Knock, { session, tokens }: Door): RelayUser[] {
  if (!isSameToken(tokens.session, knock.sessionToken)) return [];
  const user = session.users.find((each) => isSameToken(tokens.user(each), knock.userToken));
  return user && isOnSide(user, knock) ? [user] : [];
}

/** Whom it may be that knocks with a device token: the users of this side who have a device. */
export function usersWithDevice(knock: Knock, { session }: Door): RelayUser[] {
  return session.users.filter((user) => user.deviceId !== null && isOnSide(user, knock));
}

function isOnSide({ n }: RelayUser, { asHost }: Knock): boolean {
  return asHost === (n === HOST);
}

/** Whether somebody showed this token, in constant time. */
export function isSameToken(token: number, shown: number): boolean {
  if (!Number.isInteger(shown) || shown < 1 || shown > 0x7fff_ffff) return false;
  return timingSafeEqual(new Uint32Array([token]), new Uint32Array([shown]));
}
