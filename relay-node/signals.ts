/** What SIGTERM and SIGINT do to a relay node. Pure. */
import type { RelayNode } from "./relay-node";

/** A second signal within this time is the same one: terminals and npm send two. In milliseconds. */
const SAME_SIGNAL_MS = 2_000;

/**
 * What to do at each signal: the first drains the node; one that comes two seconds after it, or later, ends
 * the node at once.
 * @param now milliseconds of a clock that never jumps
 */
export function signalHandler(
  node: Pick<RelayNode, "drain" | "stop">,
  now: () => number,
): () => void {
  let firstAt: number | null = null;
  return () => {
    if (firstAt === null) {
      firstAt = now();
      node.drain();
    } else if (now() - firstAt >= SAME_SIGNAL_MS) {
      void node.stop();
    }
  };
}
