/**
 * The calls about who takes part in a session: users are added, join and are removed, one of them is made
 * the host, the join code changes. The session's object hands them on.
 */
import type { DeviceRevocation } from "../session/device-revocation";
import { capacityOf } from "../session/machine";
import {
  drawUserToken,
  isSameToken,
  joinCode,
  joinCodeDigest,
  type SessionTokens,
} from "../session/relay-tokens";
import { freeSeats, mayLoseSeat } from "../session/seats";
import { joinCodeDrawOf, type Session } from "../session/session";
import type { JoiningUser, SessionResult, UserRequest } from "../session/session-calls";
import type { Admission } from "./admission";
import { type CommandCalls, NOT_FOUND } from "./command-calls";
import { type LoadedSession, seatUseOf } from "./loaded-session";
import type { NodeLink } from "./node-link";
import type { UsageStore } from "./usage-store";

/** The object whose users they are, with the parts of it that this needs. */
interface UsersContext {
  calls: CommandCalls;
  nodes: NodeLink;
  usage: UsageStore;
  admission: Admission;
  /** The deployment's secret, from which join codes are derived. */
  secret: string;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

export class SessionUsers {
  readonly #object: UsersContext;

  constructor(object: UsersContext) {
    this.#object = object;
  }

  authorize(organisationId: number, user: UserRequest): Promise<SessionResult> {
    return this.#object.calls.run(organisationId, (loaded) => ({
      type: "authorize-user",
      user: { ...user, draw: drawFor(loaded) },
    }));
  }

  async join(
    organisationId: number,
    { codeDigest, ip, joinedWith }: JoiningUser,
  ): Promise<SessionResult> {
    const { calls, secret } = this.#object;
    const loaded = await calls.currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    const heardOnNode = await this.#heardOnNode(loaded);
    return calls.run(organisationId, (current, now) => {
      // D1 may know a code longer than the session does: what counts is the code that the session has.
      if (codeDigestOf(current.session, secret) !== codeDigest) return null;
      const joined = joinedWith === undefined ? {} : { joinedWith };
      const user = { ip, connectionId: null, deviceId: null, joinedAt: now, ...joined };
      const useOf = (n: number) => {
        const use = seatUseOf(current, n);
        return heardOnNode.has(n) ? { ...use, connected: true } : use;
      };
      return {
        type: "authorize-user",
        user: { ...user, draw: drawFor(current) },
        freeSeats: freeSeats(current.session, useOf, now),
      };
    });
  }

  revoke(organisationId: number, token: number): Promise<SessionResult> {
    return this.#object.calls.run(organisationId, ({ session, tokens }) => ({
      type: "revoke-user",
      n: ordinalOf(session, tokens, token),
    }));
  }

  assignHost(organisationId: number, token: number): Promise<SessionResult> {
    return this.#object.calls.run(organisationId, ({ session, tokens }) => ({
      type: "assign-host",
      n: ordinalOf(session, tokens, token),
    }));
  }

  setJoinCode(organisationId: number, draw: number | null): Promise<SessionResult> {
    return this.#object.calls.run(organisationId, () => ({ type: "set-join-code", draw }));
  }

  async closeDeviceSockets(revocation: DeviceRevocation): Promise<void> {
    const { admission, nodes } = this.#object;
    const loaded = this.#object.current();
    if (loaded?.session.organisationId !== revocation.organisationId) return;
    admission.deviceRevoked();
    const users = loaded.session.users.filter(({ deviceId }) => deviceId === revocation.deviceId);
    for (const { n } of users) loaded.hub.closeIfRevoked(n, revocation);
    if (users.length === 0 || !loaded.session.node) return;
    // It is read again whether they may play.
    nodes.tell(loaded);
    await nodes.whenTold();
  }

  /**
   * The users whom the session's relay node hears, asked where a join may need a seat. If the node does not
   * say, they are taken as heard: nobody loses a seat in which they may be playing.
   */
  async #heardOnNode(loaded: LoadedSession): Promise<ReadonlySet<number>> {
    const { session, departures } = loaded;
    const isFull = session.users.length >= capacityOf(session);
    const seats = session.users.filter(({ n }) => mayLoseSeat(session, n)).map(({ n }) => n);
    if (!session.node || !isFull || seats.length === 0) return new Set();
    const figures = await this.#object.nodes.figures(loaded);
    if (figures === null) return new Set(seats);
    const now = Date.now();
    const gone = figures.filter(({ n, connected }) => seats.includes(n) && !connected);
    const newlyGone = gone.filter(({ n, bytesIn, bytesOut }) =>
      departures.noteOnNode(n, bytesIn + bytesOut, now),
    );
    if (newlyGone.length > 0) {
      const users = newlyGone.map(({ n }) => n);
      this.#object.usage.saveTraffic(loaded, users, now);
    }
    return new Set(figures.filter(({ connected }) => connected).map(({ n }) => n));
  }
}

/** The draw of the next user's token, with which it is unlike all others. */
function drawFor({ session, tokens }: LoadedSession): number {
  const taken = new Set(session.users.map((other) => tokens.user(other)));
  return drawUserToken(tokens, session.nextUser, taken);
}

/** The ordinal of the user with this token; -1, which nobody has: there is none. The machine says what is wrong. */
function ordinalOf({ users }: Session, tokens: SessionTokens, token: number): number {
  return users.find((user) => isSameToken(tokens.user(user), token))?.n ?? -1;
}

/** The digest of the join code that the session has now; null: it has none. */
function codeDigestOf(session: Session, secret: string): string | null {
  const draw = joinCodeDrawOf(session);
  return draw === null ? null : joinCodeDigest(secret, joinCode(secret, session.id, draw));
}
