/**
 * The D1 tables of relay nodes. Times are Unix milliseconds.
 * `docs/storage.md` describes every table, and `CONTRIBUTING.md` how to add one.
 */
import { index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";

/**
 * Relay nodes, clustered as they are listed, and as a create looks for one: those of an organisation, and
 * those that all share (organisation 0). The node's object writes what it learns from the node, when that
 * changes.
 */
export const relayNodes = sqliteTable(
  "relay_nodes",
  {
    organisationId: integer("organisation_id").notNull(),
    /** In the order of time. */
    id: text("id").notNull(),
    createdAt: integer("created_at").notNull(),
    name: text("name").notNull(),
    /** Where it is, as its owner says: a Durable Object location hint. Null: as Cloudflare sees its link. */
    region: text("region"),
    /** How many sessions it may have, as its owner says. Null: as the node says. */
    capacity: integer("capacity"),
    /** Whether its owner lets it take no new sessions. */
    drained: integer("drained", { mode: "boolean" }).notNull().default(false),
    status: text("status")
      .$type<"never-connected" | "online" | "draining" | "offline" | "lost">()
      .notNull()
      .default("never-connected"),
    /** When its link opened, closed or was lost last. While it is linked, nothing is written here. */
    seenAt: integer("seen_at"),
    /** What the node said of itself, as JSON (`NodeFacts`). Null: it was never linked. */
    facts: text("facts", { mode: "json" }).$type<NodeFacts>(),
    /** Where its link came from, as Cloudflare says. Null: not known. */
    latitude: real("latitude"),
    longitude: real("longitude"),
    /** Its sessions, as a share of its capacity. It is written when it has changed by an eighth. */
    fill: real("fill").notNull().default(0),
    /** How loaded it is, as JSON (`NodeLoadFacts`). It is written when a figure has doubled or halved. */
    load: text("load", { mode: "json" }).$type<NodeLoadFacts>(),
  },
  (t) => [primaryKey({ columns: [t.organisationId, t.id] })],
);

/** The digests of tokens that work: the current token of a node, and older ones in their grace. */
export const relayNodeTokens = sqliteTable(
  "relay_node_tokens",
  {
    digest: text("digest").primaryKey(),
    organisationId: integer("organisation_id").notNull(),
    nodeId: text("node_id").notNull(),
    /** Null: this is the current token. A time: the token works until then. */
    validUntil: integer("valid_until"),
  },
  (t) => [index("relay_node_tokens_node").on(t.nodeId)],
);

/** What a node says of itself. */
export interface NodeFacts {
  version: string;
  host: string;
  ip: string | null;
  serverPort: number;
  clientPort: number;
  /** Null: it did not say. */
  capacity: number | null;
}

/** How loaded a node is. */
export interface NodeLoadFacts {
  sessions: number;
  users: number;
  datagramsPerSecond: number;
  bytesPerSecond: number;
  droppedPerSecond: number;
  /** When it said so. */
  at: number;
}
