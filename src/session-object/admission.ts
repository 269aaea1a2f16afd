/**
 * Who a websocket of a session is, by its tokens or its device, and how often somebody may be wrong.
 *
 * - Whatever is refused as wrong counts for its address, each distinct one once: a wrong user token, a
 *   wrong session token, a right token on the other link, a device token that does not work here. An
 *   address that is locked is refused whatever it shows, a device's token too.
 * - Only a wrong user token with the right session token counts for the session. With a wrong session
 *   token there is nothing to learn about any user token; and anyone who knows a session's id could use
 *   the session's budget up with them, and so keep new players out.
 * - When the session's budget is used up, its users may still come from where they were connected before,
 *   and who shows a device token from anywhere: that token is too long to be guessed.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { addressBucket } from "../platform/ip-address";
import { type ConnectsFrom, HOST } from "../relay/participant";
import { HARMLESS, KEPT_MS, WrongTokenBudget, WrongTokenLock } from "../relay/wrong-token-lock";
import type { SessionRefusal } from "../session/machine";
import type { SessionTokens } from "../session/relay-tokens";
import type { RelayUser, Session } from "../session/session";

/** Why a websocket was not let in. */
export type AdmissionRefusal =
  | SessionRefusal
  | { code: "wrong-token" }
  | { code: "user-revoked" }
  | { code: "device-not-paired" | "device-revoked" | "device-removed" }
  | { code: "session-not-shown" | "device-not-read" | "permissions-not-read" }
  /** `address`: of this address; `session`: of the whole session, and it was never connected from here. */
  | { code: "locked"; by: "address" | "session"; retryAfterSeconds: number }
  /** The user's message budget does not cover a connection. */
  | { code: "over-limit"; retryAfterSeconds: number };

/** What an upgrade says of itself. */
export interface Knock {
  from: ConnectsFrom;
  /** Whether it asks for the host's side, `…/server`, or for a client's. */
  asHost: boolean;
  /** The device token that it shows; null: it comes with tokens of the session. */
  deviceToken: string | null;
  sessionToken: number;
  userToken: number;
  /** A short name of what it shows to be let in, whatever that is: the same for the same. */
  shown: string;
}

/** The session at whose door it knocks. */
export interface Door {
  session: Session;
  tokens: SessionTokens;
  hub: { isConnected(n: number): boolean; hasConnectedFrom(n: number, address: string): boolean };
}

/** Reads an upgrade to `…/server` or `…/client`. */
export function readKnock(request: Request): Knock {
  const { pathname, searchParams } = new URL(request.url);
  const cf = request.cf as IncomingRequestCfProperties | undefined;
  const toNumber = (text: string | null | undefined) => (text == null ? null : Number(text));
  const sessionToken = toNumber(searchParams.get("session_token")) ?? Number.NaN;
  const userToken = toNumber(searchParams.get("user_token")) ?? Number.NaN;
  const deviceToken = searchParams.has("user_token") ? null : readDeviceToken(request.headers);
  return {
    from: {
      address: addressBucket(request.headers.get("CF-Connecting-IP") ?? ""),
      latitude: toNumber(cf?.latitude),
      longitude: toNumber(cf?.longitude),
    },
    asHost: /\/server\/?$/.test(pathname),
    deviceToken,
    sessionToken,
    userToken,
    shown:
      deviceToken === null
        ? `${sessionToken}/${userToken}`
        : createHash("sha256").update(deviceToken).digest("base64"),
  };
}

function readDeviceToken(headers: Headers): string | null {
  return /^bearer\s+(drbd_\S+)$/i.exec(headers.get("Authorization")?.trim() ?? "")?.[1] ?? null;
}

/**
 * The subprotocol to answer an upgrade with: the first that it offers, whatever it is called. A browser
 * that offers some and is answered with none ends the connection. Null: it offers none.
 */
export function chooseProtocol(headers: Headers): string | null {
  const offered = headers.get("Sec-WebSocket-Protocol")?.split(",") ?? [];
  // RFC 9110, 5.6.2: what is no token could not be sent back.
  return offered.map((name) => name.trim()).find((name) => TOKEN.test(name)) ?? null;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** What one session remembers of those who knocked: in memory, while its object lives. */
export class Admission {
  readonly #lock = new WrongTokenLock();
  readonly #budget = new WrongTokenBudget();
  #awake: ReturnType<typeof setTimeout> | undefined;

  /** The refusal of who may not even try, since wrong tokens were sent; null: it may. */
  locked({ from, deviceToken }: Knock, door: Door, now: number): AdmissionRefusal | null {
    const ofAddress = this.#lock.secondsLeft(from.address, now);
    if (ofAddress > 0) return { code: "locked", by: "address", retryAfterSeconds: ofAddress };
    const ofSession = deviceToken !== null ? 0 : this.#budget.secondsLeft(now);
    const { session, hub } = door;
    if (ofSession === 0 || session.users.some(({ n }) => hub.hasConnectedFrom(n, from.address))) {
      return null;
    }
    return { code: "locked", by: "session", retryAfterSeconds: ofSession };
  }

  /** Counts one who was not let in for what it showed. `now`: Unix milliseconds. */
  refuse(knock: Knock, { tokens }: Door, now: number): AdmissionRefusal {
    const ofAddress = this.#lock.fail(knock.from.address, knock.shown, now);
    const knowsSession =
      knock.deviceToken === null && isSameToken(tokens.session, knock.sessionToken);
    const ofSession = knowsSession ? this.#budget.fail(knock.shown, now) : 0;
    if (Math.max(ofAddress, ofSession) > HARMLESS) this.#stayAwake();
    return { code: "wrong-token" };
  }

  /**
   * Keeps what is counted: an object with a timer does not hibernate. Without sockets it does not
   * hibernate either, and is evicted no sooner than after a minute of silence (2026-11).
   */
  #stayAwake(): void {
    clearTimeout(this.#awake);
    this.#awake = setTimeout(() => undefined, KEPT_MS);
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
