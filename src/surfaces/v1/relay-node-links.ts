/** The operations that relay nodes call themselves, with their token: websockets to Drawbridge. */
import { readCredential } from "../../http/authenticate";
import { placeOf } from "../../http/caller-place";
import { refuseAndCount } from "../../http/failed-attempts";
import { malformedCredential } from "../../http/guard-refusals";
import { checkedByHandler, type OperationGroup, operation } from "../../http/operation";
import { countCall } from "../../http/rate-limits";
import { type Call, type HttpRefusal, Refused } from "../../http/request-context";
import { sessionsOf } from "../../http/services";
import { requireUpgrade } from "../../http/websocket-upgrade";
import { tokenDigest } from "../../keys/key-token";
import { UnavailableError } from "../../platform/unavailable";
import { withTimeout } from "../../platform/wait";
import { LINK_CLOSE, LINK_PATH, NODE_ID_HEADER } from "../../relay-nodes/link-protocol";
import { NODE_ID, type NodeSettings, type RelayNode } from "../../relay-nodes/node";
import { type LinkRefusal, type LinkRequest, RelayNodeClient } from "../../relay-nodes/node-calls";
import { findNodeByToken } from "../../relay-nodes/node-store";
import { isNodeToken } from "../../relay-nodes/node-token";
import { RELAY_SESSION_ID } from "../../session/relay-session-id";
import { sessionIdForm } from "../relay-sessions/bodies";

const UPGRADE = {
  401: ["unknown-relay-node"],
  426: ["upgrade-required"],
  429: ["too-many-links"],
};
/** D1 that takes longer has failed. */
const READ_TIMEOUT_MS = 2_000;
/**
 * How long a trunk waits for the second reading of its token. Where D1 is slower, the trunk opens all the same: a
 * node gives up after 4 seconds, and what is looked for happens within milliseconds.
 */
const READ_AGAIN_MS = 500;

/** The links of relay nodes. */
export const relayNodeLinks: OperationGroup = {
  name: "Links of relay nodes",
  page: "relay-sessions.md",
  description:
    "What the program of a relay node calls. No other credential does, and it calls nothing else.",
  operations: [
    operation({
      id: "linkRelayNode",
      method: "GET",
      path: LINK_PATH,
      caller: checkedByHandler("relayNodeToken"),
      summary: "Link a relay node",
      description:
        "A websocket for control: `src/relay-nodes/link-protocol.ts` has its messages. The newest link of a node takes the place of an older one.",
      answers: { 101: null },
      refusals: UPGRADE,
      example: {},
      async handle(c) {
        requireUpgrade(c);
        const now = Date.now();
        const digest = readNodeToken(c, now);
        const { id, settings } = await findLinkedNode(c, digest, now);
        countCall(c, "relayNodeLinks", now, digest);
        const place = placeOf(c);
        const answer = await new RelayNodeClient(c.env).link(id, {
          settings,
          tokenDigest: digest,
          latitude: place?.latitude ?? null,
          longitude: place?.longitude ?? null,
        });
        if (answer.status === 101) return answer;
        const { code }: LinkRefusal = await answer.json();
        if (code === "token-not-read") throw new UnavailableError("a node's token was not read");
        return refuseAndCount(c, now, unknownToken);
      },
    }),
    operation({
      id: "openRelayNodeTrunk",
      method: "GET",
      path: "/v1/relay-nodes/trunks/{id}",
      params: { id: sessionIdForm },
      caller: checkedByHandler("relayNodeToken"),
      summary: "Open the trunk of a session",
      description:
        "A websocket over which the frames of a session pass between its relay node and its users on websockets: `src/relay/trunk.ts` has its messages. Only the node that carries the session may open it.",
      answers: { 101: null },
      refusals: { ...UPGRADE, 404: ["session-not-found"] },
      example: { params: { id: "0378bc592661-S" } },
      async handle(c, { params: { id } }) {
        requireUpgrade(c);
        const now = Date.now();
        const digest = readNodeToken(c, now);
        const found = await findNodeByToken(c.get("db"), digest, now);
        if (!found) return refuseAndCount(c, now, unknownToken);
        countCall(c, "relayNodeTrunks", now, digest);
        if (!RELAY_SESSION_ID.test(id)) throw new Refused(sessionNotHere);
        const { validUntil } = found;
        const token = { digest, validUntil };
        const answer = await sessionsOf(c).openTrunk(id, { nodeId: found.node.id, token });
        if (answer.status !== 101) throw new Refused(sessionNotHere);
        // If the token was replaced meanwhile, the session may have been told so before it had this trunk.
        const reading = findNodeByToken(c.get("db"), digest, Date.now());
        const again = await withTimeout(READ_AGAIN_MS, reading).catch(() => found);
        if (again?.validUntil === validUntil) return answer;
        answer.webSocket?.accept();
        answer.webSocket?.close(LINK_CLOSE.tokenRevoked, "the token was replaced");
        if (again === null) return refuseAndCount(c, now, unknownToken);
        throw new UnavailableError("a node's token has another end now", 1);
      },
    }),
  ],
};

/** The digest of the token of a node that the caller shows. Whether it is one is not known yet. */
function readNodeToken(c: Call, now: number): string {
  const token = readCredential(c, now, "token of a relay node");
  if (!isNodeToken(token)) {
    refuseAndCount(c, now, malformedCredential("is not the token of a relay node (drbn_…)"));
  }
  return tokenDigest(token);
}

/**
 * The node that wants to link. While D1 is down, it is the one that the caller says it is: its object knows
 * whether the token is its own.
 */
async function findLinkedNode(
  c: Call,
  digest: string,
  now: number,
): Promise<Pick<LinkRequest, "settings"> & { id: string }> {
  const said = c.req.header(NODE_ID_HEADER) ?? "";
  try {
    const found = await withTimeout(READ_TIMEOUT_MS, findNodeByToken(c.get("db"), digest, now));
    const { node } = found ?? refuseAndCount(c, now, unknownToken);
    return { id: node.id, settings: toSettings(node) };
  } catch (error) {
    if (error instanceof Refused || !NODE_ID.test(said)) throw error;
    return { id: said, settings: null };
  }
}

function toSettings(node: RelayNode): NodeSettings {
  const { organisationId, id, name, region, capacity, drained, createdAt } = node;
  return { organisationId, id, name, region, capacity, drained, createdAt };
}

const unknownToken: HttpRefusal = {
  status: 401,
  code: "unknown-relay-node",
  message:
    "No relay node has this token: it was deleted, or its token was replaced. Use its newest token, or make a relay node.",
  headers: { "WWW-Authenticate": "Bearer" },
};

const sessionNotHere: HttpRefusal = {
  status: 404,
  code: "session-not-found",
  message: "There is no such session on this relay node.",
};
