/** What a relay node sees of Drawbridge, for tests of the node program: the link and trunks, on loopback. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import {
  type AssignedSession,
  type FromNode,
  LINK_PATH,
  LINK_PING,
  LINK_PONG,
  LINK_PROTOCOL,
  NODE_ID_HEADER,
  parseFromNode,
  type ToNode,
  type Welcome,
} from "../../src/relay-nodes/link-protocol";
import { eventually } from "./eventually";

export const TOKEN = "drbn_test";

export interface FakeDrawbridge {
  url: URL;
  /** All that the node has sent, pings left out, oldest first. */
  received: FromNode[];
  /** How many pings were answered. */
  pings: number;
  /** What `welcome` says; change it before the node dials. */
  welcome: Omit<Welcome, "type" | "protocol" | "node_id">;
  /** Set it, and every dial is refused with this status. */
  refuseWith: number | null;
  /** Set it, and every dial of a trunk is refused with this status. */
  refuseTrunksWith: number | null;
  /** How many trunks were dialled. */
  trunksDialled: number;
  /** Set it to false, and pings are not answered. */
  answersPings: boolean;
  /** What is assigned right after each welcome. */
  sessions: AssignedSession[];
  /** The open link, once there is one. */
  link(): Promise<WebSocket>;
  /** The ids that the node said when it dialled its links, oldest first; undefined: none. */
  dialledAs: (string | undefined)[];
  /** How many links were opened. */
  links: number;
  /** The trunk of this session, once it is open. */
  trunk(id: string): Promise<WebSocket>;
  /** Sends a message on the open link. */
  send(message: ToNode): Promise<void>;
  /** Sends a message that has a `ref`, and gives its answer. */
  ask(
    message: Exclude<ToNode, { type: "welcome" | "refused" | "pong" | "trunk" | "drain" }>,
  ): Promise<FromNode>;
  close(): Promise<void>;
}

export async function startFakeDrawbridge(): Promise<FakeDrawbridge> {
  const server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const trunks = new Map<string, WebSocket>();
  let open: WebSocket | null = null;
  server.on("upgrade", (request, socket, head) => {
    const authorized = request.headers.authorization === `Bearer ${TOKEN}`;
    const isTrunk = request.url !== LINK_PATH;
    if (isTrunk) fake.trunksDialled += 1;
    const refused = fake.refuseWith ?? (isTrunk ? fake.refuseTrunksWith : null);
    const status = refused ?? (authorized ? null : 403);
    if (status !== null) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      if (isTrunk) acceptTrunk(ws, request.url?.split("/").at(-1) ?? "");
      else acceptLink(ws, request.headers[NODE_ID_HEADER.toLowerCase()]?.toString());
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  function acceptLink(ws: WebSocket, nodeId: string | undefined) {
    fake.links += 1;
    fake.dialledAs.push(nodeId);
    ws.on("message", (data) => {
      const text = String(data);
      if (text === LINK_PING) {
        if (!fake.answersPings) return;
        fake.pings += 1;
        ws.send(LINK_PONG);
        return;
      }
      const message = parseFromNode(text);
      if (!message || message.type === "malformed") throw new Error(`the node sent ${text}`);
      fake.received.push(message);
      if (message.type !== "hello") return;
      ws.send(
        JSON.stringify({
          type: "welcome",
          protocol: LINK_PROTOCOL,
          node_id: "rn_test",
          ...fake.welcome,
        }),
      );
      for (const session of fake.sessions) {
        ws.send(JSON.stringify({ type: "assign", ref: `first-${session.id}`, session }));
      }
      open = ws;
    });
    ws.on("close", () => {
      if (open === ws) open = null;
    });
  }

  function acceptTrunk(ws: WebSocket, id: string) {
    trunks.set(id, ws);
    ws.on("close", () => {
      if (trunks.get(id) === ws) trunks.delete(id);
    });
  }

  let refs = 0;
  const fake: FakeDrawbridge = {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    received: [],
    pings: 0,
    welcome: {
      ping_seconds: 0.05,
      blind_seconds: 30,
      limits: {
        bytes_per_second: 0,
        burst_bytes: 0,
        messages_per_second: 0,
        burst_messages: 0,
      },
      draining: false,
    },
    refuseWith: null,
    refuseTrunksWith: null,
    trunksDialled: 0,
    answersPings: true,
    sessions: [],
    dialledAs: [],
    links: 0,
    link: () =>
      eventually(() => {
        if (!open) throw new Error("the node has no link");
        return open;
      }),
    trunk: (id) =>
      eventually(() => {
        const trunk = trunks.get(id);
        if (!trunk) throw new Error(`the node has no trunk for ${id}`);
        return trunk;
      }),
    send: async (message) => (await fake.link()).send(JSON.stringify(message)),
    ask: async (message) => {
      const ref = `${++refs}`;
      await fake.send({ ...message, ref } as ToNode);
      return eventually(() => {
        const answer = fake.received.find((one) => "ref" in one && one.ref === ref);
        if (!answer) throw new Error(`the node has not answered ${message.type}`);
        return answer;
      });
    },
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return fake;
}
