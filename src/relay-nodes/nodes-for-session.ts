/** Finds the relay nodes that a new relay session may have, or that it is one of websockets only. */
import type { Database } from "../db/open";
import { dropOldest } from "../platform/bounded-memory";
import { describeError, log } from "../platform/log";
import { UnavailableError } from "../platform/unavailable";
import { withTimeout } from "../platform/wait";
import { chooseNodes } from "./choose-nodes";
import { type RelayNode, SHARED } from "./node";
import { findUsableNodes } from "./node-store";
import { type Place, placeOfRegion } from "./places";

/**
 * As long as a node was online so recently, sessions are not of websockets only: so a restart does not
 * change what a native game gets, and one forgotten node does not break everybody.
 */
const RECENTLY_MS = 3_600_000;
/** D1 that takes longer has failed. */
const READ_TIMEOUT_MS = 2_000;
/** Organisations whose nodes are remembered. */
const MAX_REMEMBERED = 1_000;
/**
 * For so long an isolate relies on having read that an organisation has no node, its own or shared: so that
 * creates do not wait for D1 where nobody uses nodes. A first node takes sessions so much later.
 */
const NONE_FOR_MS = 5_000;

/** A create, as far as its nodes go. */
export interface NodeWish {
  organisationId: number;
  /** Null: the caller has no wish. */
  transport: "udp" | "websocket" | null;
  /** A Durable Object location hint; null: near the caller. */
  region: string | null;
  /** Where the caller is; null: not known. */
  callerPlace: Place | null;
}

/**
 * The nodes that may take a session, the best one first. `websocket`: it is a session of websockets only.
 * `none-online`: the caller insists on a node, and none takes sessions.
 */
export type NodesForSession =
  | { kind: "nodes"; ids: readonly string[] }
  | { kind: "websocket" }
  | { kind: "none-online" };

/** The own nodes of organisations, as this isolate has read them last, and when (Unix milliseconds). */
const remembered = new Map<number, { own: readonly RelayNode[]; at: number }>();
/** The shared nodes as it has read them last: once for all organisations. */
let shared: readonly RelayNode[] = [];

/**
 * Finds the nodes for a session. When D1 cannot be read, what this isolate has read last counts. If it has
 * read nothing, the session is one of websockets only, as where there are no nodes.
 * @throws UnavailableError in that case, for a caller who insists on a node
 */
export async function nodesForSession(
  db: Database,
  { organisationId, transport, region, callerPlace }: NodeWish,
  now: number,
): Promise<NodesForSession> {
  if (transport === "websocket") return { kind: "websocket" };
  const nodes =
    transport === null && hasNone(organisationId, now)
      ? []
      : await readNodes(db, organisationId, now);
  if (nodes === null) {
    if (transport === "udp") throw new UnavailableError("the relay nodes cannot be read", 2);
    return { kind: "websocket" };
  }
  const place = region === null ? callerPlace : placeOfRegion(region);
  const chosen = chooseNodes(nodes, { place, random: Math.random });
  if (chosen.length > 0) return { kind: "nodes", ids: chosen.map(({ id }) => id) };
  if (transport === "udp") return { kind: "none-online" };
  const wasOnline = nodes.some((node) => wasOnlineRecently(node, now));
  return wasOnline ? { kind: "nodes", ids: [] } : { kind: "websocket" };
}

/** Null: D1 cannot be read, and nothing is remembered. */
async function readNodes(
  db: Database,
  organisationId: number,
  now: number,
): Promise<readonly RelayNode[] | null> {
  try {
    const nodes = await withTimeout(READ_TIMEOUT_MS, findUsableNodes(db, organisationId));
    const isShared = (node: RelayNode) => node.organisationId === SHARED;
    shared = nodes.filter(isShared);
    remembered.delete(organisationId);
    remembered.set(organisationId, { own: nodes.filter((node) => !isShared(node)), at: now });
    dropOldest(remembered, MAX_REMEMBERED);
    return nodes;
  } catch (error) {
    const known = remembered.get(organisationId);
    log("relay nodes not read", {
      organisation: organisationId,
      remembered: known !== undefined,
      error: describeError(error),
    });
    return known ? [...known.own, ...shared] : null;
  }
}

/** Whether this isolate has read just now that there is no node for this organisation. */
function hasNone(organisationId: number, now: number): boolean {
  const known = remembered.get(organisationId);
  if (known === undefined || known.own.length > 0 || shared.length > 0) return false;
  return now >= known.at && now < known.at + NONE_FOR_MS;
}

function wasOnlineRecently({ status, seenAt }: RelayNode, now: number): boolean {
  if (status === "online" || status === "draining") return true;
  return seenAt !== null && seenAt > now - RECENTLY_MS;
}
