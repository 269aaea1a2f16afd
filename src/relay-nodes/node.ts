/** What a relay node is: as its owner made it, and what is known of it. Pure. */
import type { NodeFacts, NodeLoadFacts } from "../db/schema/relay-nodes";
import { MAX_NODE_SESSIONS } from "./link-protocol";

/** The organisation of the nodes that all organisations share. */
export const SHARED = 0;

/** The form of a node's id: `rn_` and 28 hex digits. The first 12 are the time at which it was made. */
export const NODE_ID = /^rn_[0-9a-f]{28}$/;

/**
 * What is known of a node's link.
 * - `online`, `draining`: it is linked; a draining node gets no new sessions.
 * - `offline`: it drained, and left when it carried nothing any more.
 * - `lost`: its link is gone, and what ran on it failed.
 */
export const NODE_STATUSES = ["never-connected", "online", "draining", "offline", "lost"] as const;
export type NodeStatus = (typeof NODE_STATUSES)[number];

/** A node as its owner made it. */
export interface NodeSettings {
  /** `SHARED`, or the organisation whose sessions it carries. */
  organisationId: number;
  id: string;
  name: string;
  /** A Durable Object location hint. Null: as Cloudflare sees its link. */
  region: string | null;
  /** The most sessions. Null: as the node says. */
  capacity: number | null;
  /** Whether its owner lets it take no new sessions. */
  drained: boolean;
  /** Unix milliseconds. */
  createdAt: number;
}

/** A node as D1 has it. Times are Unix milliseconds. */
export interface RelayNode extends NodeSettings {
  status: NodeStatus;
  /** When its link opened, closed or was lost last. */
  seenAt: number | null;
  facts: NodeFacts | null;
  latitude: number | null;
  longitude: number | null;
  /** Its sessions as a share of its capacity, an eighth behind at most. */
  fill: number;
  load: NodeLoadFacts | null;
}

/** The data of `relay-node.*` events. */
export interface RelayNodeEventData {
  readonly relayNode: Pick<RelayNode, "id" | "name" | "region" | "createdAt" | "status" | "facts">;
}

/**
 * A node's id.
 * @param now Unix milliseconds
 * @param random 8 random bytes
 */
export function nodeId(now: number, random: Uint8Array): string {
  return `rn_${now.toString(16).padStart(12, "0")}${Buffer.from(random).toString("hex")}`;
}

/** The most sessions of a node of which neither its owner nor itself says how many it takes. */
export const DEFAULT_CAPACITY = 1_000;

/** The most sessions of a node: of what its owner and itself say, the smaller number. */
export function capacityOf({ capacity, facts }: Pick<RelayNode, "capacity" | "facts">): number {
  const said = [capacity, facts?.capacity ?? null].filter((number) => number !== null);
  return said.length === 0 ? DEFAULT_CAPACITY : Math.min(...said, MAX_NODE_SESSIONS);
}
