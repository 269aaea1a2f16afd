/** Relay nodes in D1, and the tokens with which they link. */
import { and, desc, eq, gt, inArray, isNull, lt, lte, or, type SQL, sql } from "drizzle-orm";
import { runBatch } from "../db/batch";
import type { Database } from "../db/open";
import { relayNodes, relayNodeTokens } from "../db/schema/relay-nodes";
import type { DomainEvent } from "../events/event";
import type { EventOutbox } from "../events/event-outbox";
import type { NodeToken } from "../session/relay-node";
import { type NodeSettings, type RelayNode, SHARED } from "./node";

/** Which node: its owner's organisation, or `SHARED`, and its id. */
export type NodeKey = Pick<RelayNode, "organisationId" | "id">;

/** The most nodes of an organisation, and of the shared ones: a create reads all of both. */
export const MAX_NODES = 100;

/** The most older tokens of a node that work at the same time. */
export const MAX_NODE_GRACES = 10;

/** Stores a new node with its first token; false: there are as many as may be. */
export async function insertNode(
  db: Database,
  { organisationId, id, name, region, capacity, createdAt }: NodeSettings,
  digest: string,
): Promise<boolean> {
  const room = sql`(select count(*) from ${relayNodes}
    where ${relayNodes.organisationId} = ${organisationId}) < ${MAX_NODES}`;
  const { node } = await runBatch(db, {
    token: db
      .insert(relayNodeTokens)
      .select(sql`select ${digest}, ${organisationId}, ${id}, null where ${room}`),
    node: db
      .insert(relayNodes)
      .select(
        sql`select ${organisationId}, ${id}, ${createdAt}, ${name}, ${region}, ${capacity}, 0,
          'never-connected', null, null, null, null, 0, null where ${room}`,
      )
      .returning({ id: relayNodes.id }),
  });
  return node.length > 0;
}

/** A page of the nodes of an owner, newest first. */
export async function listNodes(
  db: Database,
  organisationId: number,
  page: { before: string | null; limit: number },
): Promise<RelayNode[]> {
  return db
    .select()
    .from(relayNodes)
    .where(
      and(
        eq(relayNodes.organisationId, organisationId),
        page.before === null ? undefined : lt(relayNodes.id, page.before),
      ),
    )
    .orderBy(desc(relayNodes.id))
    .limit(page.limit);
}

/** A node of this owner; null: there is none. */
export async function findNode(db: Database, key: NodeKey): Promise<RelayNode | null> {
  const rows = await db.select().from(relayNodes).where(isNode(key));
  return rows[0] ?? null;
}

/** All nodes that the sessions of an organisation may have: its own, and the shared ones. */
export async function findUsableNodes(db: Database, organisationId: number): Promise<RelayNode[]> {
  return db
    .select()
    .from(relayNodes)
    .where(inArray(relayNodes.organisationId, [organisationId, SHARED]));
}

/** The node of a token that works now, and until when it works, Unix milliseconds (null: it has no end); null: no node has it. */
export async function findNodeByToken(
  db: Database,
  digest: string,
  now: number,
): Promise<{ node: RelayNode; validUntil: number | null } | null> {
  const rows = await db
    .select({ node: relayNodes, validUntil: relayNodeTokens.validUntil })
    .from(relayNodeTokens)
    .innerJoin(
      relayNodes,
      and(
        eq(relayNodes.organisationId, relayNodeTokens.organisationId),
        eq(relayNodes.id, relayNodeTokens.nodeId),
      ),
    )
    .where(
      and(
        eq(relayNodeTokens.digest, digest),
        or(isNull(relayNodeTokens.validUntil), gt(relayNodeTokens.validUntil, now)),
      ),
    );
  return rows[0] ?? null;
}

/** The tokens of a node that work now. None: there is no such node. */
export async function findTokens(
  db: Database,
  nodeId: string,
  now: number,
): Promise<readonly NodeToken[]> {
  return db
    .select({ digest: relayNodeTokens.digest, validUntil: relayNodeTokens.validUntil })
    .from(relayNodeTokens)
    .where(
      and(
        eq(relayNodeTokens.nodeId, nodeId),
        or(isNull(relayNodeTokens.validUntil), gt(relayNodeTokens.validUntil, now)),
      ),
    )
    .orderBy(relayNodeTokens.digest);
}

/** Says whether a node takes new sessions; null: there is no such node. */
export async function setDrained(
  db: Database,
  key: NodeKey,
  drained: boolean,
): Promise<RelayNode | null> {
  const rows = await db.update(relayNodes).set({ drained }).where(isNode(key)).returning();
  return rows[0] ?? null;
}

/**
 * Gives a node a new token. The one that it has now, and older ones in their grace, work until their end;
 * without grace all of them end at once.
 * @param graceMs milliseconds
 * @returns "unknown": there is no such node; "too-many-graces": nothing was changed
 */
export async function rotateNodeToken(
  db: Database,
  { organisationId, id }: NodeKey,
  { digest, graceMs }: { digest: string; graceMs: number },
  now: number,
): Promise<"rotated" | "unknown" | "too-many-graces"> {
  const ofNode = eq(relayNodeTokens.nodeId, id);
  const exists = sql`exists (select 1 from ${relayNodes}
    where ${relayNodes.organisationId} = ${organisationId} and ${relayNodes.id} = ${id})`;
  const inGrace = sql`(select count(*) from ${relayNodeTokens} where node_id = ${id} and valid_until > ${now})`;
  const mayRotate = graceMs === 0 ? exists : sql`(${exists} and ${inGrace} < ${MAX_NODE_GRACES})`;
  const results = await runBatch(db, {
    over: db.delete(relayNodeTokens).where(and(ofNode, lte(relayNodeTokens.validUntil, now))),
    node: db.select({ id: relayNodes.id }).from(relayNodes).where(isNode({ organisationId, id })),
    older:
      graceMs === 0
        ? db.delete(relayNodeTokens).where(and(ofNode, mayRotate))
        : db
            .update(relayNodeTokens)
            .set({ validUntil: now + graceMs })
            .where(and(ofNode, isNull(relayNodeTokens.validUntil), mayRotate)),
    // The statement before may have used the last grace: so it asks whether a current token is left.
    newest: db
      .insert(relayNodeTokens)
      .select(
        sql`select ${digest}, ${organisationId}, ${id}, null where ${exists} and not exists
          (select 1 from ${relayNodeTokens} where node_id = ${id} and valid_until is null)`,
      )
      .returning({ digest: relayNodeTokens.digest }),
  });
  if (results.node.length === 0) return "unknown";
  return results.newest.length > 0 ? "rotated" : "too-many-graces";
}

/** Removes a node and its tokens; false: there is no such node. */
export async function deleteNode(db: Database, key: NodeKey): Promise<boolean> {
  const { node } = await runBatch(db, {
    tokens: db
      .delete(relayNodeTokens)
      .where(
        and(
          eq(relayNodeTokens.nodeId, key.id),
          eq(relayNodeTokens.organisationId, key.organisationId),
        ),
      ),
    node: db.delete(relayNodes).where(isNode(key)).returning({ id: relayNodes.id }),
  });
  return node.length > 0;
}

/** Removes all nodes of an organisation, with their tokens. */
export async function removeNodes(db: Database, organisationId: number): Promise<void> {
  await runBatch(db, {
    tokens: db
      .delete(relayNodeTokens)
      .where(
        sql`node_id in (select id from ${relayNodes} where ${relayNodes.organisationId} = ${organisationId})`,
      ),
    nodes: db.delete(relayNodes).where(eq(relayNodes.organisationId, organisationId)),
  });
}

/** What a node's object writes of it. */
export type NodeReport = Pick<
  RelayNode,
  "status" | "seenAt" | "facts" | "latitude" | "longitude" | "fill" | "load"
>;

/** Writes what a node's object knows, with the events that say so. A node that was deleted stays so. */
export async function reportNode(
  { db, events }: { db: Database; events: EventOutbox },
  key: NodeKey,
  report: NodeReport,
  announced: readonly DomainEvent[],
): Promise<void> {
  const exists: SQL = sql`exists (select 1 from ${relayNodes} where ${isNode(key)})`;
  const update = db.update(relayNodes).set(report).where(isNode(key));
  await runBatch(
    db,
    announced.length === 0 ? { update } : { event: events.insertion(announced, exists), update },
  );
  if (announced.length > 0) events.sendAfterAnswer(announced);
}

function isNode({ organisationId, id }: NodeKey) {
  return and(eq(relayNodes.organisationId, organisationId), eq(relayNodes.id, id));
}
