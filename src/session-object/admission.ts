/** Who a websocket of a session is, by its tokens or its device, and how often somebody may be wrong. */
import { timingSafeEqual } from "node:crypto";
import { HOST } from "../relay/participant";
import { FailureLock } from "../relay/wrong-token-lock";
import { type DeviceCut, readVerifiedDevice, type VerifiedDevice } from "../session/devices";
import type { RelayUser, Session, SessionRefusal } from "../session/machine";
import type { SessionTokens } from "../session/tokens";

/** Why a websocket was not let in. */
export type AdmissionRefusal =
  | SessionRefusal
  | { code: "wrong-token" }
  | { code: "unavailable" }
  | { code: "locked"; retryAfterSeconds: number };

/** What an upgrade says of itself. */
export interface Knock {
  ip: string;
  /** Whether it asks for the host's side, `…/server`, or for a client's. */
  asHost: boolean;
  /** The device whose token the Worker has verified; null: it comes with tokens of the session. */
  device: VerifiedDevice | null;
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
    asHost: /\/server\/?$/.test(pathname),
    device: readVerifiedDevice(request.headers),
    sessionToken: toNumber(searchParams.get("session_token")) ?? Number.NaN,
    userToken: toNumber(searchParams.get("user_token")) ?? Number.NaN,
    place: { latitude: toNumber(cf?.latitude), longitude: toNumber(cf?.longitude) },
  };
}

/** What one session remembers of those who knocked: in memory, while its object lives. */
export class Admission {
  readonly #lock = new FailureLock();
  readonly #cuts = new DeviceCuts();

  /** The refusal of an address that was wrong too often; null: it may try. `now`: Unix milliseconds. */
  locked({ ip }: Knock, now: number): AdmissionRefusal | null {
    const retryAfterSeconds = this.#lock.secondsLeft(ip, now);
    return retryAfterSeconds > 0 ? { code: "locked", retryAfterSeconds } : null;
  }

  /** The user that knocks, if it is one of this side. */
  identify(knock: Knock, door: Door): RelayUser | undefined {
    const user = knock.device
      ? this.#withDevice(knock.device, knock.asHost, door)
      : withTokens(knock, door);
    return user && knock.asHost === (user.n === HOST) ? user : undefined;
  }

  /** Counts one who was not let in for what it showed. `now`: Unix milliseconds. */
  refuse({ ip }: Knock, now: number): AdmissionRefusal {
    this.#lock.fail(ip, now);
    return { code: "wrong-token" };
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
