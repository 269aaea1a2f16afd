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
 *   and a device whose token works from anywhere: that token is too long to be guessed.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { addressBucket } from "../platform/ip-address";
import { type ConnectsFrom, HOST } from "../relay/participant";
import { HARMLESS, KEPT_MS, WrongTokenBudget, WrongTokenLock } from "../relay/wrong-token-lock";
import { type DeviceCut, readVerifiedDevice, type VerifiedDevice } from "../session/devices";
import type { RelayUser, Session, SessionRefusal } from "../session/machine";
import type { SessionTokens } from "../session/tokens";

/** Why a websocket was not let in. */
export type AdmissionRefusal =
  | SessionRefusal
  | { code: "wrong-token" }
  | { code: "unavailable" }
  /** `address`: of this address; `session`: of the whole session, and it was never connected from here. */
  | { code: "locked"; by: "address" | "session"; retryAfterSeconds: number }
  /** The user's message budget does not cover a connection. */
  | { code: "over-limit"; retryAfterSeconds: number };

/** What an upgrade says of itself. */
export interface Knock {
  from: ConnectsFrom;
  /** Whether it asks for the host's side, `…/server`, or for a client's. */
  asHost: boolean;
  /** The device whose token the Worker has verified; null: it comes with tokens of the session. */
  device: VerifiedDevice | null;
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
  const device = request.headers.get("Authorization");
  return {
    from: {
      address: addressBucket(request.headers.get("CF-Connecting-IP") ?? ""),
      latitude: toNumber(cf?.latitude),
      longitude: toNumber(cf?.longitude),
    },
    asHost: /\/server\/?$/.test(pathname),
    device: readVerifiedDevice(request.headers),
    sessionToken,
    userToken,
    shown:
      device === null || searchParams.has("user_token")
        ? `${sessionToken}/${userToken}`
        : createHash("sha256").update(device).digest("base64"),
  };
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
  readonly #cuts = new DeviceCuts();
  #awake: ReturnType<typeof setTimeout> | undefined;

  /** The refusal of who may not even try, since wrong tokens were sent; null: it may. */
  locked({ from, device }: Knock, door: Door, now: number): AdmissionRefusal | null {
    const ofAddress = this.#lock.secondsLeft(from.address, now);
    if (ofAddress > 0) return { code: "locked", by: "address", retryAfterSeconds: ofAddress };
    const ofSession = device ? 0 : this.#budget.secondsLeft(now);
    const { session, hub } = door;
    if (ofSession === 0 || session.users.some(({ n }) => hub.hasConnectedFrom(n, from.address))) {
      return null;
    }
    return { code: "locked", by: "session", retryAfterSeconds: ofSession };
  }

  /** The user that knocks, if it is one of this side. */
  identify(knock: Knock, door: Door): RelayUser | undefined {
    const user = knock.device
      ? this.#withDevice(knock.device, knock.asHost, door)
      : withTokens(knock, door);
    return user && knock.asHost === (user.n === HOST) ? user : undefined;
  }

  /** Counts one who was not let in for what it showed. `now`: Unix milliseconds. */
  refuse(knock: Knock, { tokens }: Door, now: number): AdmissionRefusal {
    const ofAddress = this.#lock.fail(knock.from.address, knock.shown, now);
    const knowsSession = !knock.device && isSameToken(tokens.session, knock.sessionToken);
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

  /** Remembers that a device was revoked: until it is verified anew, it stays out. */
  cut(cut: DeviceCut): void {
    this.#cuts.note(cut);
  }

  /** The user with this device on this side; of several, one who is not connected yet. */
  #withDevice(device: VerifiedDevice, asHost: boolean, { session, hub }: Door) {
    if (device.organisationId !== session.organisationId) return undefined;
    if (this.#cuts.isCut(device)) return undefined;
    const theirs = session.users.filter(
      ({ n, deviceId }) => deviceId === device.deviceId && asHost === (n === HOST),
    );
    return theirs.find(({ n }) => !hub.isConnected(n)) ?? theirs[0];
  }
}

function withTokens({ sessionToken, userToken }: Knock, { session, tokens }: Door) {
  if (!isSameToken(tokens.session, sessionToken)) return undefined;
  return session.users.find((user) => isSameToken(tokens.user(user), userToken));
}

/** Whether somebody showed this token, in constant time. */
export function isSameToken(token: number, shown: number): boolean {
  if (!Number.isInteger(shown) || shown < 1 || shown > 0x7fff_ffff) return false;
  return timingSafeEqual(new Uint32Array([token]), new Uint32Array([shown]));
}

/**
 * The latest cuts of a session's devices. A token may be verified before a revocation and arrive after
 * it: the device's version tells, without a clock. Kept in memory, since the two are moments apart.
 */
export class DeviceCuts {
  readonly #versions = new Map<string, number>();

  /** Remembers a cut. */
  note(cut: DeviceCut): void {
    const key = keyOf(cut);
    this.#versions.set(key, Math.max(cut.version, this.#versions.get(key) ?? 0));
  }

  /** Whether the device was verified before it was cut. */
  isCut(device: VerifiedDevice): boolean {
    return device.version < (this.#versions.get(keyOf(device)) ?? 0);
  }
}

function keyOf({ applicationId, deviceId }: VerifiedDevice): string {
  return `${applicationId}/${deviceId}`;
}
