/** Which relay nodes a new session may have, the best one first. Pure. */

import { type RelayNode, SHARED } from "./node";
import type { Place } from "./places";
import { kilometresBetween, placeOfRegion } from "./places";

/** A node that is at most so much farther than the nearest one counts as about as near. */
const ABOUT_AS_NEAR_KM = 500;

/** A node that D1 takes for full is asked last: it may have room again. */
const FULL = 1;

/** A session's wish: where it is to be, and the random number that decides between equal nodes. */
export interface Wish {
  /** Null: not known. Then all nodes are equally near. */
  place: Place | null;
  /** 0 to 1, for each node. */
  random(): number;
}

/**
 * The nodes that take new sessions, the best one first: those of the organisation before shared ones,
 * then the nearest; and of those that are about as near, the least loaded.
 */
export function chooseNodes(nodes: readonly RelayNode[], wish: Wish): RelayNode[] {
  const open = nodes.filter(({ status, drained }) => status === "online" && !drained);
  const own = open.filter(({ organisationId }) => organisationId !== SHARED);
  const shared = open.filter(({ organisationId }) => organisationId === SHARED);
  const ordered = [...byNearness(own, wish), ...byNearness(shared, wish)];
  const isFull = ({ fill }: RelayNode) => fill >= FULL;
  return [...ordered.filter((node) => !isFull(node)), ...ordered.filter(isFull)];
}

function byNearness(nodes: readonly RelayNode[], { place, random }: Wish): RelayNode[] {
  const measured = nodes
    .map((node) => ({ node, km: distance(node, place), tie: random() }))
    .sort((a, b) => a.km - b.km);
  const ordered: RelayNode[] = [];
  let rest = measured;
  while (rest[0]) {
    const limit = rest[0].km + ABOUT_AS_NEAR_KM;
    const near = rest.filter(({ km }) => km <= limit);
    rest = rest.filter(({ km }) => km > limit);
    near.sort((a, b) => a.node.fill - b.node.fill || a.tie - b.tie);
    ordered.push(...near.map(({ node }) => node));
  }
  return ordered;
}

/** How far a node is, in kilometres. A node whose place is not known is farther than all others. */
function distance(node: RelayNode, place: Place | null): number {
  if (place === null) return 0;
  const at = placeOfNode(node);
  // Half the Earth's circumference is the most.
  return at === null ? 30_000 : kilometresBetween(place, at);
}

function placeOfNode({ region, latitude, longitude }: RelayNode): Place | null {
  if (region !== null) return placeOfRegion(region);
  return latitude === null || longitude === null ? null : { latitude, longitude };
}
