/**
 * What a relay node carries, as Drawbridge has said it: sessions, permissions, limits, and how long
 * datagrams pass without further word. Whoever forwards the datagrams has it: this process
 * (`forwarder.ts`), or worker processes (`workers.ts`). Times are milliseconds of a clock that never jumps.
 */
import type { BudgetLimits } from "../src/relay/budget";
import type {
  AssignedSession,
  LinkPermissions,
  UserFigures,
} from "../src/relay-nodes/link-protocol";
import type { EventLoopFigures } from "./event-loop";
import { HeardUsers, type HeardUsersPorts } from "./heard-users";
import { Limits } from "./limits";
import { toPermissions } from "./permissions";
import { type NodeSession, SessionTable } from "./session-table";
import { TrafficCounts } from "./traffic-counts";
import type { TrunkFrame } from "./trunk";

/** What a carrier calls. */
export interface CarrierPorts extends HeardUsersPorts {
  /** The permissions of this session are needed, and old. Asked once a second at most. */
  askPermissions(session: NodeSession): void;
}

/** Which of the processes that forward the datagrams of a node this one is. */
export interface ProcessOfNode {
  /** Its number. */
  me: number;
  /** How many there are. */
  of: number;
}

export abstract class Carrier {
  readonly counts = new TrafficCounts();
  readonly table: SessionTable;
  readonly limits = new Limits();
  readonly presence: HeardUsers;
  readonly #ports: CarrierPorts;
  /** Until when datagrams pass without further word from Drawbridge. */
  passUntil = Number.NEGATIVE_INFINITY;
  /**
   * Whether Drawbridge has said all that it had to say. Before, somebody whose tokens are not known may be
   * of a session that comes next, and is not told that they are invalid.
   */
  knowsAllSessions = false;

  constructor(ports: CarrierPorts, { me, of }: ProcessOfNode) {
    this.#ports = ports;
    this.table = new SessionTable(of);
    this.presence = new HeardUsers(ports, me);
  }

  /** Handles a frame from the trunk of this session: somebody on a websocket has sent it. */
  abstract receiveFromTrunk(session: NodeSession, frame: TrunkFrame, now: number): void;

  /** Sets what one user may send. */
  setLimits(limits: BudgetLimits): void {
    this.limits.set(limits);
  }

  /**
   * Adds a session, or makes it what is said now: who is not in it any more is let go.
   * @returns false: a pair of its tokens is another session's
   */
  assign(assigned: AssignedSession, now: number): boolean {
    const result = this.table.assign(assigned, now);
    if (!result) return false;
    const { session, removed } = result;
    session.passUntil = null;
    session.wantsTrunk = assigned.trunk;
    // What is not said is not forgotten: it goes on ageing.
    if (assigned.permissions) session.permissions = toPermissions(assigned.permissions, now);
    this.presence.disconnect(session, removed);
    return true;
  }

  /** Lets go of a session. It may be unknown. */
  end(id: string): void {
    const session = this.table.get(id);
    if (!session) return;
    session.wantsTrunk = false;
    this.presence.disconnect(session, this.table.remove(id));
  }

  /** @returns false: there is no such session */
  setPermissions(id: string, permissions: LinkPermissions, now: number): boolean {
    const session = this.table.get(id);
    if (session) session.permissions = toPermissions(permissions, now);
    return session !== undefined;
  }

  /** Somebody of this session is on a websocket, or nobody any more. */
  setWantsTrunk(id: string, wanted: boolean): void {
    const session = this.table.get(id);
    if (!session) return;
    session.wantsTrunk = wanted;
    this.#ports.presenceChanged(session);
  }

  /** Who of a session is on websockets since `at`; null: its trunk is down. */
  setUsersOnWebsockets(
    session: NodeSession,
    before: ReadonlySet<number>,
    users: ReadonlySet<number> | null,
    at: number,
  ): void {
    if (users !== null) this.presence.usersOnWebsockets(session, before, users, at);
  }

  /** A new link: what is not assigned on it passes no longer than it would have passed without it. */
  newLink(passUntil: number): void {
    for (const session of this.table.all()) {
      session.passUntil = Math.min(session.passUntil ?? this.passUntil, this.passUntil);
    }
    this.passUntil = passUntil;
  }

  /** Drawbridge was heard, and has said all that it had to say. */
  heardDrawbridge(passUntil: number): void {
    this.passUntil = passUntil;
    this.knowsAllSessions = true;
  }

  /** The link is down. */
  linkLost(): void {
    this.knowsAllSessions = false;
  }

  /** Disconnects who was not heard for ten seconds, and reports sessions that are silent. Run every second. */
  tick(now: number): void {
    this.presence.tick(this.table.all(), now);
  }

  /** Calls `then` when all that was said before holds for every datagram: here, it does already. */
  whenDone(then: () => void): void {
    then();
  }

  /** Gives what the users of a session have sent and received; null: there is no such session. */
  askFigures(id: string, then: (figures: UserFigures[] | null) => void): void {
    then(this.figuresOf(id));
  }

  /** What this process knows of what the users of a session have sent and received. */
  protected figuresOf(id: string): UserFigures[] | null {
    const session = this.table.get(id);
    if (!session) return null;
    return session.users.map(({ n, connected, bytesIn, bytesOut, dropped }) => ({
      n,
      connected,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      dropped,
    }));
  }

  /** How many worker processes have the ports; 0: this process has them. */
  get workers(): number {
    return 0;
  }

  /** What the event loop of the busiest worker did since the last call; null: there are no workers. */
  takeBusiest(): EventLoopFigures | null {
    return null;
  }

  /** Lets go of the ports and of all processes. */
  close(): void {}
}
