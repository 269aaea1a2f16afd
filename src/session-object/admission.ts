/**
 * Decides whether a websocket of a session is let in, as which user, and lets it in. The session's
 * object asks it for every upgrade.
 *
 * A user with neither a device nor a connection costs no reading. For others, D1 must have the session's
 * state first: the code that revokes a device or deletes a connection looks for its sessions there, and
 * must not miss a socket (docs/decisions/0015).
 */
import { openDatabase } from "../db/open";
import type { BudgetLimits } from "../relay/budget";
import { UserBudgets } from "../relay/user-budgets";
import { endedRefusal, type SessionRefusal } from "../session/machine";
import { isSameToken } from "../session/relay-tokens";
import { hostOf, isFinal, type RelayUser, type Session } from "../session/session";
import type { Announcer } from "./announcer";
import { type AdmittedDevice, type DeviceAdmissionRefusal, readDevice } from "./device-admission";
import type { LoadedSession } from "./loaded-session";
import { chooseProtocol, readUpgradeRequest, type UpgradeRequest } from "./upgrade-request";
import { type LockedRefusal, WrongTokens } from "./wrong-tokens";

/** Why a websocket was not let in. */
export type AdmissionRefusal =
  | SessionRefusal
  | DeviceAdmissionRefusal
  | { code: "wrong-token" }
  | { code: "user-revoked" }
  /** D1 did not get the session's state in time, or did not give the permissions. */
  | { code: "session-not-shown" | "permissions-not-read" }
  | LockedRefusal
  /** The user's message budget does not cover a connection. */
  | { code: "over-limit"; retryAfterSeconds: number };

/** The possible users of a request, and the device (null: the user has none). */
interface Candidates {
  users: readonly RelayUser[];
  device: AdmittedDevice | null;
}

/** The object at which websockets ask to be let in. */
interface AdmissionContext {
  ctx: DurableObjectState;
  env: Env;
  announcer: Announcer;
  /** What one participant may send. */
  limits: BudgetLimits;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

/** A device may be revoked while it is read: then it is read again, at most this often. */
const MAX_DEVICE_READS = 5;

/** What one session's object remembers of those who asked to be let in, in memory. */
export class Admission {
  readonly #object: AdmissionContext;
  readonly #wrongTokens = new WrongTokens();
  /** These budgets are of device tokens, not of users: of right tokens and of wrong ones. */
  readonly #tokenReadings: UserBudgets<string>;
  /** Notices of revocations so far: a device that was read before the last one has to be read again. */
  #deviceNotices = 0;

  constructor(object: AdmissionContext) {
    this.#object = object;
    this.#tokenReadings = new UserBudgets(object.limits);
  }

  /** Takes note that a device was revoked: what is being read of devices right now is not relied on. */
  deviceRevoked(): void {
    this.#deviceNotices += 1;
  }

  /** Answers an upgrade: with the websocket, or with the reason why it is not let in. */
  async admit(
    request: Request,
    loaded: LoadedSession,
    now: number,
  ): Promise<Response | AdmissionRefusal> {
    if (isFinal(loaded.session)) return endedRefusal(loaded.session);
    const upgrade = readUpgradeRequest(request);
    const locked = this.#wrongTokens.lockedRefusal(upgrade, loaded, now);
    if (locked) return locked;
    // A user who is known by their tokens pays before anything is read for them, even if they are not
    // let in after all. With a device token, the reading tells which user it is: so the token pays for the
    // reading, and the user for the connection.
    const known = upgrade.deviceToken === null ? usersWithTokens(upgrade, loaded)[0] : undefined;
    const unpaid = known ? overLimit(loaded, known, now) : this.#tokenOverLimit(upgrade, now);
    if (unpaid) return unpaid;
    for (let reads = 0; reads < MAX_DEVICE_READS; reads++) {
      const notices = this.#deviceNotices;
      const found = await this.#findCandidates(upgrade, loaded);
      // While it read, anything may have happened.
      if (this.#object.current() !== loaded) return { code: "not-found" };
      if (isFinal(loaded.session)) return endedRefusal(loaded.session);
      if (notices !== this.#deviceNotices) continue;
      if ("code" in found) {
        if (found.code === "wrong-token") this.#wrongTokens.count(upgrade, loaded, now);
        return found;
      }
      // From here on nothing is awaited: what was found stays true until the socket is in.
      const { side } = upgrade;
      // Another user may have become the host.
      const onSide = found.users.filter((user) => isOnSide(user, side, loaded.session));
      if (onSide.length === 0) return { code: "wrong-token" };
      const user = chooseUser(onSide, loaded);
      if (!user) return { code: "user-revoked" };
      const wait = known ? null : overLimit(loaded, user, Date.now());
      if (wait) return wait;
      const pairing = found.device?.pairing ?? null;
      const { 0: client, 1: server } = new WebSocketPair();
      this.#object.ctx.acceptWebSocket(server);
      loaded.hub.join(server, user.n, { origin: upgrade.origin, pairing }, Date.now());
      return upgraded(client, request.headers);
    }
    return { code: "device-not-read" };
  }

  /**
   * Takes what reading a device token from D1 costs, as much as a connection: whose token it is, and
   * whether it is anyone's, is not known yet, and a token that is shown again and again locks nobody.
   */
  #tokenOverLimit(
    { deviceToken, credential }: UpgradeRequest,
    now: number,
  ): AdmissionRefusal | null {
    if (deviceToken === null) return null;
    const seconds = this.#tokenReadings.spendConnection(credential, 0, now);
    return seconds > 0 ? { code: "over-limit", retryAfterSeconds: seconds } : null;
  }

  /** The possible users of the request, once it is known that they may be let in; or why they may not. */
  async #findCandidates(
    upgrade: UpgradeRequest,
    loaded: LoadedSession,
  ): Promise<Candidates | AdmissionRefusal> {
    const users =
      upgrade.deviceToken === null
        ? usersWithTokens(upgrade, loaded)
        : usersWithDevice(upgrade, loaded);
    if (users.length === 0) return { code: "wrong-token" };
    if (users.every(({ deviceId, connectionId }) => deviceId === null && connectionId === null)) {
      return { users, device: null };
    }
    const { env, ctx, announcer } = this.#object;
    if (!(await announcer.ensureInD1(loaded))) return { code: "session-not-shown" };
    // After D1 has the session's state: a revocation before that may have missed it, and is seen now.
    const device = await readDevice({ db: openDatabase(env), ctx }, loaded.session, upgrade, users);
    if (device && "code" in device) return device;
    const candidates = device ? users.filter(({ deviceId }) => deviceId === device.id) : users;
    // A join relies on no permission that was known before.
    if (candidates.some(({ connectionId }) => connectionId !== null)) {
      if (!(await loaded.permissions.refresh())) return { code: "permissions-not-read" };
    }
    return { users: candidates, device };
  }
}

/** Takes a connection from the user's budget. Null: taken; else why it was not. */
function overLimit({ hub }: LoadedSession, { n }: RelayUser, now: number): AdmissionRefusal | null {
  const seconds = hub.spendConnection(n, now);
  return seconds > 0 ? { code: "over-limit", retryAfterSeconds: seconds } : null;
}

/** The one user whom this link lets in with these tokens, or nobody. */
function usersWithTokens(upgrade: UpgradeRequest, { session, tokens }: LoadedSession): RelayUser[] {
  if (!isSameToken(tokens.session, upgrade.sessionToken)) return [];
  const user = session.users.find((each) => isSameToken(tokens.user(each), upgrade.userToken));
  return user && isOnSide(user, upgrade.side, session) ? [user] : [];
}

/** The users whom this link lets in and who have a device: the device token tells later whose it is. */
function usersWithDevice(upgrade: UpgradeRequest, { session }: LoadedSession): RelayUser[] {
  return session.users.filter(
    (user) => user.deviceId !== null && isOnSide(user, upgrade.side, session),
  );
}

function isOnSide({ n }: RelayUser, side: UpgradeRequest["side"], session: Session): boolean {
  return side === null || side === (n === hostOf(session) ? "host" : "client");
}

/** Of these users one who is still in the session, and if possible not connected yet. */
function chooseUser(
  users: readonly RelayUser[],
  { session, hub }: LoadedSession,
): RelayUser | undefined {
  const still = users.filter(({ n }) => session.users.some((user) => user.n === n));
  return still.find(({ n }) => !hub.isConnected(n)) ?? still[0];
}

function upgraded(webSocket: WebSocket, asked: Headers): Response {
  const protocol = chooseProtocol(asked);
  const headers = protocol === null ? {} : { "Sec-WebSocket-Protocol": protocol };
  return new Response(null, { status: 101, webSocket, headers });
}
