/**
 * The operations of relay nodes on `/v1`: machines of the owner that carry the datagrams of sessions. The
 * root token manages those that all organisations share, a key those of its own organisation.
 */
import * as z from "zod";
import { type OperationGroup, operation, rootOrKey } from "../../http/operation";
import { pageCursor, pageLimit, pageOf, toKeysetPage } from "../../http/paging";
import { type Call, type HttpRefusal, Refused } from "../../http/request-context";
import { describeError, log } from "../../platform/log";
import { withTimeout } from "../../platform/wait";
import { NODE_ID, nodeId, type RelayNode } from "../../relay-nodes/node";
import { RelayNodeClient } from "../../relay-nodes/node-calls";
import {
  deleteNode,
  findNode,
  insertNode,
  listNodes,
  MAX_NODE_GRACES,
  MAX_NODES,
  type NodeKey,
  rotateNodeToken,
  setDrained,
} from "../../relay-nodes/node-store";
import { newNodeToken } from "../../relay-nodes/node-token";
import {
  changeNodeBody,
  createNodeBody,
  relayNode,
  relayNodeWithToken,
  rotateTokenBody,
  toRelayNode,
} from "./relay-node-wire";

const PATH = "/v1/relay-nodes";
/** How long a reader waits for a node's object, which waits 500 ms for its node itself. */
const LOAD_WAIT_MS = 1_000;
/** How long an answer waits until links and trunks that came with a replaced token are closed. */
const TOKENS_WAIT_MS = 5_000;

/** Of an operation on one node: the parameter of its path, and an example. */
const byId = {
  params: {
    id: z
      .string()
      .regex(NODE_ID)
      .meta({ description: "The `id` of a relay node: `rn_` and 28 hexadecimal digits." }),
  },
  example: { params: { id: "rn_01a21683d5ad50343c7a77361259" } },
} as const;

/** For the nodes of an organisation; with the root token, for the shared ones (organisation 0). */
const reads = rootOrKey("relay-nodes:read");
const writes = rootOrKey("relay-nodes:write");

const listQuery = z.strictObject({ limit: pageLimit, cursor: pageCursor(NODE_ID) });

const NOT_FOUND = "relay-node-not-found";
const OWNED = { 404: [NOT_FOUND] };

/** Relay nodes, for their owners. */
export const relayNodes: OperationGroup = {
  name: "Relay nodes",
  page: "relay-sessions.md",
  description:
    "A relay node is a small program on a machine of yours. It carries the datagrams of relay sessions, for game code that speaks UDP. With the root token these calls are about the nodes that all organisations share.",
  operations: [
    operation({
      id: "createRelayNode",
      method: "POST",
      path: PATH,
      caller: writes,
      addsRows: true,
      summary: "Make a relay node",
      description: `The answer has its token, which is shown this once.`,
      body: createNodeBody,
      answers: { 201: relayNodeWithToken },
      refusals: { 409: ["too-many-relay-nodes"] },
      example: { body: { name: "Frankfurt 1" } },
      async handle(c, { body, owner: organisationId }) {
        const now = Date.now();
        const { token, digest } = newNodeToken();
        const id = nodeId(now, crypto.getRandomValues(new Uint8Array(8)));
        const settings = { ...body, organisationId, id, drained: false, createdAt: now };
        const made = await insertNode(c.get("db"), settings, digest);
        if (!made) throw new Refused(tooManyNodes);
        const node: RelayNode = { ...settings, ...NEVER_LINKED };
        return { status: 201, body: { ...toRelayNode(node), token } };
      },
    }),
    operation({
      id: "listRelayNodes",
      method: "GET",
      path: PATH,
      caller: reads,
      readsNearby: true,
      summary: "List relay nodes, newest first",
      query: listQuery,
      answers: { 200: pageOf(relayNode) },
      example: { query: { limit: "10" } },
      async handle(c, { query, owner: organisationId }) {
        const { limit, cursor } = query;
        const page = { before: cursor, limit: limit + 1 };
        const rows = await listNodes(c.get("db"), organisationId, page);
        const body = toKeysetPage(
          rows,
          limit,
          ({ id }) => id,
          (row) => toRelayNode(row),
        );
        return { status: 200, body };
      },
    }),
    operation({
      id: "getRelayNode",
      method: "GET",
      path: `${PATH}/{id}`,
      caller: reads,
      summary: "Show a relay node, with its load now",
      answers: { 200: relayNode },
      refusals: OWNED,
      ...byId,
      async handle(c, { params: { id }, owner: organisationId }) {
        const node = await requireNode(c, { organisationId, id });
        const asking = new RelayNodeClient(c.env).load(id);
        const load = await withTimeout(LOAD_WAIT_MS, asking).catch(() => null);
        return { status: 200, body: toRelayNode(node, { load, at: Date.now() }) };
      },
    }),
    operation({
      id: "changeRelayNode",
      method: "PATCH",
      path: `${PATH}/{id}`,
      caller: writes,
      summary: "Drain a relay node, or let it take sessions again",
      body: changeNodeBody,
      answers: { 200: relayNode },
      refusals: OWNED,
      params: byId.params,
      example: { ...byId.example, body: { draining: true } },
      async handle(c, { params: { id }, body, owner: organisationId }) {
        const key = { organisationId, id };
        await requireNode(c, key);
        if (!(await setDrained(c.get("db"), key, body.draining))) throw new Refused(unknownNode);
        await new RelayNodeClient(c.env).drain(id, body.draining);
        return { status: 200, body: toRelayNode(await requireNode(c, key)) };
      },
    }),
    operation({
      id: "rotateRelayNodeToken",
      method: "POST",
      path: `${PATH}/{id}:rotate-token`,
      caller: writes,
      summary: "Give a relay node a new token",
      description: `The older token works on for the grace. After that a link or a trunk that came with it is closed; what the node carries goes on if it links with the new token within 30 seconds. Without grace, all older tokens end at once.`,
      body: rotateTokenBody,
      bodyIsOptional: true,
      answers: { 200: relayNodeWithToken },
      refusals: { ...OWNED, 409: ["too-many-graces"] },
      params: byId.params,
      example: { ...byId.example, body: { grace_seconds: 3_600 } },
      async handle(c, { params: { id }, body, owner: organisationId }) {
        const key = { organisationId, id };
        const node = await requireNode(c, key);
        const { token, digest } = newNodeToken();
        const change = { digest, graceMs: body.graceMs };
        const nodes = new RelayNodeClient(c.env);
        await nodes.tokensWillChange(id);
        const rotated = await rotateNodeToken(c.get("db"), key, change, Date.now());
        if (rotated === "unknown") throw new Refused(unknownNode);
        if (rotated === "too-many-graces") throw new Refused(tooManyGraces);
        // The token is made, and shown this once. If the older ones are not ended now, the node's object ends
        // them within a minute: it was told before.
        await withTimeout(TOKENS_WAIT_MS, nodes.tokensChanged(id)).catch((error) =>
          log("relay node's older tokens not ended yet", { node: id, error: describeError(error) }),
        );
        return { status: 200, body: { ...toRelayNode(node), token } };
      },
    }),
    operation({
      id: "deleteRelayNode",
      method: "DELETE",
      path: `${PATH}/{id}`,
      caller: writes,
      summary: "Delete a relay node",
      description: `What runs on it fails with \`relay-node-lost\`. Drain it first.`,
      answers: { 204: null },
      refusals: OWNED,
      ...byId,
      async handle(c, { params: { id }, owner: organisationId }) {
        const key = { organisationId, id };
        await requireNode(c, key);
        const nodes = new RelayNodeClient(c.env);
        // The row goes last: a call that has failed can be sent again, until the node has lost its link.
        await nodes.remove(id);
        if (!(await deleteNode(c.get("db"), key))) throw new Refused(unknownNode);
        // Whoever linked between the two.
        await nodes.remove(id);
        return { status: 204 };
      },
    }),
  ],
};

/** What is known of a node that was just made. */
const NEVER_LINKED = {
  status: "never-connected",
  seenAt: null,
  facts: null,
  latitude: null,
  longitude: null,
  fill: 0,
  load: null,
} as const;

async function requireNode(c: Call, key: NodeKey): Promise<RelayNode> {
  const node = NODE_ID.test(key.id) ? await findNode(c.get("db"), key) : null;
  if (!node) throw new Refused(unknownNode);
  return node;
}

const unknownNode: HttpRefusal = {
  status: 404,
  code: NOT_FOUND,
  message: "There is no such relay node.",
};

const tooManyNodes: HttpRefusal = {
  status: 409,
  lasts: false,
  code: "too-many-relay-nodes",
  message: `There are ${MAX_NODES} relay nodes, as many as may be. Delete one first.`,
};

const tooManyGraces: HttpRefusal = {
  status: 409,
  lasts: false,
  code: "too-many-graces",
  message: `This relay node has ${MAX_NODE_GRACES} older tokens that still work. Wait until one of them ends, or rotate without a grace, which ends all of them.`,
};
