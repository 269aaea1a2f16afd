/** The operations that relay nodes call themselves, with their token: websockets to Drawbridge. */
import { readCredential } from "../../http/authenticate";
import { placeOf } from "../../http/caller-place";
import { refuseAndCount } from "../../http/failed-attempts";
import { malformedCredential } from "../../http/guard-refusals";
import { checkedByHandler, type OperationGroup, operation } from "../../http/operation";
import { type Call, type HttpRefusal, Refused } from "../../http/request-context";
import { requireUpgrade } from "../../http/websocket-upgrade";
import { tokenDigest } from "../../keys/key-token";
import { LINK_PATH } from "../../relay-nodes/link-protocol";
import type { NodeSettings, RelayNode } from "../../relay-nodes/node";
import { RelayNodeClient } from "../../relay-nodes/node-calls";
import { findNodeByToken } from "../../relay-nodes/node-store";
import { isNodeToken } from "../../relay-nodes/node-token";
import { RELAY_SESSION_ID } from "../../session/relay-sessions";
import { sessionIdForm } from "../relay-sessions/bodies";

const UPGRADE = { 401: ["unknown-relay-node"], 426: ["upgrade-required"] };

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
        const { node, digest, validUntil } = await requireNodeToken(c);
        const place = placeOf(c);
        return new RelayNodeClient(c.env).link(node.id, {
          settings: toSettings(node),
          tokenDigest: digest,
          tokenUntil: validUntil,
          latitude: place?.latitude ?? null,
          longitude: place?.longitude ?? null,
        });
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
        const { node } = await requireNodeToken(c);
        if (!RELAY_SESSION_ID.test(id)) throw new Refused(sessionNotHere);
        const answer = await c.var.sessions.openTrunk(id, node.id);
        if (answer.status !== 101) throw new Refused(sessionNotHere);
        return answer;
      },
    }),
  ],
};

/** The node whose token the caller shows. */
async function requireNodeToken(c: Call) {
  const now = Date.now();
  const token = readCredential(c, now, "token of a relay node");
  if (!isNodeToken(token)) {
    refuseAndCount(c, now, malformedCredential("is not the token of a relay node (drbn_…)"));
  }
  const digest = tokenDigest(token);
  const found = await findNodeByToken(c.var.db, digest, now);
  return { ...(found ?? refuseAndCount(c, now, unknownToken)), digest };
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
