/** Relay nodes on `/v1`: the bodies that make and change them, and how they are shown. */
import * as z from "zod";
import { humanText } from "../../http/human-text";
import type { Shown } from "../../http/operation";
import { wholeNumber } from "../../http/whole-numbers";
import { LONGEST_KEY_GRACE_SECONDS } from "../../keys/grace";
import type { NodeLoad } from "../../relay-nodes/link-protocol";
import { NODE_STATUSES, type RelayNode, type RelayNodeEventData } from "../../relay-nodes/node";
import { region } from "../shared/regions";
import { time, toRfc3339 } from "../shared/wire-time";

const CAPACITY =
  "The most sessions. Null: as many as the node says. If both say it, the smaller number counts.";
const REGION = "Where it is; null: as Cloudflare sees its link.";

/** The body that makes a node. */
export const createNodeBody = z
  .strictObject({
    name: humanText(1, 100),
    region: region.nullish().meta({ description: REGION }),
    capacity: wholeNumber(1, 100_000).nullish().meta({ description: CAPACITY }),
  })
  .transform(({ name, region = null, capacity = null }) => ({ name, region, capacity }));

/** The body that changes a node. */
export const changeNodeBody = z.strictObject({
  draining: z
    .boolean("must be true or false")
    .meta({ description: "True: it gets no new sessions, and ends when the last one has ended." }),
});

/** The body that gives a node a new token. */
export const rotateTokenBody = z
  .strictObject({
    grace_seconds: wholeNumber(0, LONGEST_KEY_GRACE_SECONDS)
      .default(0)
      .meta({ description: "How long the token that it has now works on." }),
  })
  .transform(({ grace_seconds }) => ({ graceMs: grace_seconds * 1_000 }));

const port = z.int().nullable();

/** What is known of a node without asking it. */
const nodeFacts = z.object({
  id: z.string(),
  name: z.string(),
  shared: z.boolean().meta({ description: "Whether it is for all organisations." }),
  status: z.enum(NODE_STATUSES).meta({
    description:
      "`offline`: it drained, and left. `lost`: it was not heard for 30 seconds, and what ran on it failed.",
  }),
  region: z.string().nullable().meta({ description: REGION }),
  capacity: z.int().nullable().meta({ description: CAPACITY }),
  version: z.string().nullable().meta({ description: "Of the node program." }),
  host: z.string().nullable().meta({ description: "Where players reach it." }),
  ip: z.string().nullable(),
  ports: z.object({ server: port, client: port }),
  created_at: time,
  last_seen_at: time.nullable().meta({
    description: "When its link opened, closed or was lost last. Null: it was never linked.",
  }),
});

const figure = z.number().nullable();

/** A node. */
export const relayNode = z
  .object({
    ...nodeFacts.shape,
    load: z
      .object({
        sessions: figure,
        users: figure.meta({ description: "Heard in the last 10 seconds." }),
        datagrams_per_second: figure,
        bytes_per_second: figure,
        dropped_per_second: figure,
        measured_at: time.nullable(),
      })
      .meta({
        description:
          "As the node counts. Null: not known. In a list: as it said last, when a figure had doubled or halved.",
      }),
  })
  .meta({ id: "RelayNode" });

/** A node as the call shows it that makes it, or gives it a new token. */
export const relayNodeWithToken = z
  .object({
    ...relayNode.shape,
    token: z.string().meta({ description: "With it the node links. It is shown this once." }),
  })
  .meta({ id: "RelayNodeWithToken" });

/** The `data` of all `relay-node.*` events. */
export const relayNodeEventData = z
  .object({
    id: z.string(),
    version: z.int().meta({
      description:
        "Of two events about the same thing, the one with the higher version is the later.",
    }),
    name: z.string(),
    region: z.string().nullable(),
    status: z.enum(NODE_STATUSES),
    host: z.string().nullable(),
    ip: z.string().nullable(),
    created_at: time,
  })
  .meta({ id: "RelayNodeEventData" });

/**
 * A node.
 * @param asked what it says of its load now, where it was asked; null: it did not say
 */
export function toRelayNode(
  node: RelayNode,
  asked?: { load: NodeLoad | null; at: number },
): Shown<typeof relayNode> {
  const { facts } = node;
  return {
    id: node.id,
    name: node.name,
    shared: node.organisationId === 0,
    status: node.status,
    region: node.region,
    capacity: node.capacity,
    version: facts?.version ?? null,
    host: facts?.host ?? null,
    ip: facts?.ip ?? null,
    ports: { server: facts?.serverPort ?? null, client: facts?.clientPort ?? null },
    created_at: toRfc3339(node.createdAt),
    last_seen_at: toRfc3339(node.seenAt),
    load: asked ? toAskedLoad(asked) : toLastLoad(node),
  };
}

function toAskedLoad({ load, at }: { load: NodeLoad | null; at: number }) {
  return load === null ? UNKNOWN_LOAD : { ...load, measured_at: toRfc3339(at) };
}

function toLastLoad({ load, status }: RelayNode) {
  if (load === null || (status !== "online" && status !== "draining")) return UNKNOWN_LOAD;
  return {
    sessions: load.sessions,
    users: load.users,
    datagrams_per_second: load.datagramsPerSecond,
    bytes_per_second: load.bytesPerSecond,
    dropped_per_second: load.droppedPerSecond,
    measured_at: toRfc3339(load.at),
  };
}

const UNKNOWN_LOAD = {
  sessions: null,
  users: null,
  datagrams_per_second: null,
  bytes_per_second: null,
  dropped_per_second: null,
  measured_at: null,
} as const;

/** What an event tells of a node. `at`: the time of the event, which serves as its version. */
export function toRelayNodeData(
  { id, name, region, status, facts, createdAt }: RelayNodeEventData["relayNode"],
  at: number,
): Shown<typeof relayNodeEventData> {
  return {
    id,
    version: at,
    name,
    region,
    status,
    host: facts?.host ?? null,
    ip: facts?.ip ?? null,
    created_at: toRfc3339(createdAt),
  };
}
