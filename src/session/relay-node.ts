/**
 * What a session knows of the relay node that carries its datagrams, and the calls with which its object
 * reaches that node's. The node's object is in `src/relay-nodes/`, which this room must not import. Pure.
 */

/** Where players reach a relay node. */
export interface RelayNodeAddress {
  /** The node's id, `rn_…`. */
  readonly id: string;
  /** A name, or an address. */
  readonly host: string;
  /** Null: not known. */
  readonly ip: string | null;
  /** For the host of a session, and for everyone else. */
  readonly serverPort: number;
  readonly clientPort: number;
}

/** The error of a session that no relay node took. */
export const NO_RELAY_NODE = "no-relay-node";
/** The error of a session whose relay node is gone. */
export const RELAY_NODE_LOST = "relay-node-lost";

/**
 * When a node carries a session no longer, whatever became of it, Unix milliseconds. The node's object takes
 * off what is over by itself, a minute and a half after its end at the latest, and a node that does not hear
 * of that is blind half a minute later.
 */
export function carriedUntil({ expiresAt }: { expiresAt: number }): number {
  return expiresAt + 120_000;
}

/** A token of a node that works. */
export interface NodeToken {
  readonly digest: string;
  /** Until when it works, Unix milliseconds; null: it has no end. */
  readonly validUntil: number | null;
}

/** What opens the trunk of a session. */
export interface TrunkOpening {
  readonly nodeId: string;
  /** The token that it has shown. */
  readonly token: NodeToken;
}

/** A session as it is placed on a node: the whole of what the node needs. */
export interface Assignment {
  readonly id: string;
  readonly idleSeconds: number;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  readonly users: readonly AssignedUser[];
  /** Whether somebody of it is on a websocket. */
  readonly hasSockets: boolean;
}

/** A user as a node knows it. The token is derived from `n` and `draw`. */
export interface AssignedUser {
  readonly n: number;
  readonly draw: number;
  /** Whether frames between this user and another such one need a relay permission. */
  readonly gated: boolean;
}

/** The relay permissions of a session, by ordinal. */
export interface NodePermissions {
  /** The clients to whom the host may send. */
  readonly toClients: readonly number[];
  /** The clients who may send to the host. */
  readonly toHost: readonly number[];
  /** How old they are, in milliseconds. */
  readonly ageMs: number;
}

/** What a node has counted of one user, in bytes of payload. */
export interface NodeFigures {
  readonly n: number;
  readonly connected: boolean;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly dropped: number;
}

/** Whether a node took a session, or why not. */
export type PlacementResult =
  | { ok: true; node: RelayNodeAddress }
  | { ok: false; code: "offline" | "draining" | "full" | "unanswered" };

/**
 * What a session's object calls of a node's object. Arguments and answers are plain values: RPC clones
 * them. No call waits longer for the node than it says.
 */
export interface RelayNodeCalls {
  /** Places a session on the node. If the node has not said yes after 1.5 s, it does not get the session. */
  place(assignment: Assignment, permissions: NodePermissions | null): Promise<PlacementResult>;
  /**
   * Says what has become of a session that is on the node, and waits 2 s at most until the node has done
   * it.
   * @returns null when it is done; else when it is done at the latest, Unix milliseconds: then the node
   *   carries nothing any more, if it has not heard of it
   */
  update(assignment: Assignment, permissions: NodePermissions | null): Promise<number | null>;
  /** Takes a session off the node. Waits and answers as `update`. */
  release(sessionId: string, reason: string): Promise<number | null>;
  /** Says that relay permissions are other ones now. Waits and answers as `update`. */
  permissions(sessionId: string, permissions: NodePermissions): Promise<number | null>;
  /** Says whether somebody of a session is on a websocket. */
  sockets(sessionId: string, open: boolean): Promise<void>;
  /** What the node has counted. Null: it did not say so within 500 ms. */
  figures(sessionId: string): Promise<readonly NodeFigures[] | null>;
}

/** What a node's object calls of a session's object. Each says from which node it comes. */
export interface NodeReports {
  /** The node is gone: the session fails. */
  nodeLost(nodeId: string): Promise<void>;
  /**
   * Nobody of the session was heard on the node for its idle time: it ends, unless it is used otherwise.
   * @returns false when the session is not on this node (any more)
   */
  silentOnNode(nodeId: string): Promise<boolean>;
  /** The relay permissions as they are now. Null: they cannot be read, or the session is not on this node. */
  permissionsForNode(nodeId: string): Promise<NodePermissions | null>;
  /** These tokens of the node work now, and no others: a trunk that was opened with another one is closed. */
  nodeTokensChanged(nodeId: string, tokens: readonly NodeToken[]): Promise<void>;
}
