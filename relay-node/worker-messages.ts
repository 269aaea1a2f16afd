/**
 * What the process that has a node's link and its worker processes say to each other, over Node's IPC, in
 * both directions in order. Times are milliseconds of the clock that all of them share (`clock.ts`). Pure.
 */
import type { BudgetLimits } from "../src/relay/budget";
import type {
  AssignedSession,
  LinkPermissions,
  UserFigures,
} from "../src/relay-nodes/link-protocol";
import type { Role } from "./datagram";
import type { EventLoopFigures } from "./event-loop";
import type { NodeUser } from "./session-table";
import type { Counts } from "./traffic-counts";
import type { TrunkFrame } from "./trunk";

/** The first argument with which the program is a worker. */
export const WORKER_ARGUMENT = "worker";

/** What one process has heard of a user, and the others do not know yet. */
export interface UserChange {
  /** The session, and the user's ordinal in it. */
  id: string;
  n: number;
  /** When it was last heard, and by which process. */
  at: number;
  by: number;
  /** False: it was not heard for ten seconds. */
  connected: boolean;
  address: string;
  port: number;
}

/** The first message to a worker. */
export interface WorkerSetup {
  type: "setup";
  /** Its number. No other worker of this node has or had it. */
  me: number;
  /** How many share the ports. */
  workers: number;
  clockStart: number;
  bind: string;
  ports: Record<Role, number>;
}

export type ToWorker =
  | WorkerSetup
  | { type: "limits"; limits: BudgetLimits }
  /** A new link: see `Forwarder.newLink`. */
  | { type: "new-link"; passUntil: number }
  /** Drawbridge was heard, and has said all that it had to say; or the link is down. */
  | { type: "heard"; passUntil: number }
  | { type: "link-lost" }
  | { type: "assign"; session: AssignedSession; at: number; passUntil: number | null }
  | { type: "end"; id: string }
  | { type: "permissions"; id: string; permissions: LinkPermissions; at: number }
  /** Who of a session is on websockets; null: it has no trunk. */
  | { type: "trunk"; id: string; users: ReadonlySet<number> | null; at: number }
  | { type: "users"; changes: readonly UserChange[] }
  /** Somebody on a websocket has sent this. */
  | { type: "frame"; id: string; frame: TrunkFrame }
  /** The worker knows everything now: it binds the ports. */
  | { type: "open" }
  /** Answered with `answer`, when all that came before is done. `figuresOf`: a session. */
  | { type: "ask"; figuresOf: string | null };

export type FromWorker =
  /** The ports are bound. */
  | { type: "open" }
  /** They could not be bound, or a socket has failed. */
  | { type: "failed"; message: string }
  | { type: "users"; changes: readonly UserChange[] }
  /** For somebody on a websocket. */
  | { type: "frame"; id: string; frame: TrunkFrame }
  /** The permissions of a session are needed, and old. */
  | { type: "permissions"; id: string }
  /** `figures`: of the session that was asked for; null: none was, or it is not known. */
  | { type: "answer"; figures: UserFigures[] | null }
  /** Sent every second. */
  | { type: "report"; report: WorkerReport };

/** What a worker has counted since it was started, and what its event loop did since the last report. */
export interface WorkerReport extends EventLoopFigures {
  counts: Counts;
}

/** What is known of a user now, for another process. */
export function changeOf(user: NodeUser): UserChange {
  const { session, n, heardAt, heardBy, connected, address, port } = user;
  return { id: session.id, n, at: heardAt, by: heardBy, connected, address, port };
}
