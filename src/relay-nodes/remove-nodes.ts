/** Removes the relay nodes of a deleted organisation. The sweep calls it. */
import type { Database } from "../db/open";
import { SHARED } from "./node";
import type { RelayNodeClient } from "./node-calls";
import { listNodes, MAX_NODES, removeNodes } from "./node-store";

/** Ends the links of an organisation's nodes, and then removes their rows: no row is lost that still has to be found. */
export async function removeNodesOfOrganisation(
  db: Database,
  nodes: RelayNodeClient,
  organisationId: number,
): Promise<void> {
  if (organisationId === SHARED) return;
  const page = { before: null, limit: MAX_NODES };
  for (const { id } of await listNodes(db, organisationId, page)) await nodes.remove(id);
  await removeNodes(db, organisationId);
}
