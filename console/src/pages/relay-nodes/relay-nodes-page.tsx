/** The page Relay nodes: their list, and one of them: `#/relay-nodes/{id}`. */
import { NodeList } from "./node-list";
import { NodeView } from "./node-view";

export default function RelayNodesPage({ path: [id] }: { path: readonly string[] }) {
  return id === undefined ? <NodeList /> : <NodeView key={id} id={id} />;
}
