/** The node program in the process of a test, on loopback and on free ports. */
import { createLog } from "../../relay-node/log";
import { RelayNode, type RelayNodeOptions } from "../../relay-node/relay-node";
import { RELAY_NODE } from "../../scripts/build-relay-node.mjs";

/** Starts it. What it logs is dropped, unless `more` has another log. */
export function startRelayNode(
  url: URL,
  token: string,
  more: Partial<RelayNodeOptions> = {},
): Promise<RelayNode> {
  return RelayNode.start({
    url,
    token,
    host: "localhost",
    ip: "127.0.0.1",
    bind: "127.0.0.1",
    serverPort: 0,
    clientPort: 0,
    capacity: null,
    drainMs: 600_000,
    workers: 1,
    program: RELAY_NODE,
    version: "1.2.3",
    log: createLog(() => {}),
    ...more,
  });
}
