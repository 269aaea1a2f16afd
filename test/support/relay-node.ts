/** A relay node of a test: it speaks the link's protocol, and carries no datagrams. */
import { env, exports } from "cloudflare:workers";
import {
  type AssignedSession,
  LINK_PATH,
  LINK_PING,
  LINK_PROTOCOL,
  NODE_ID_HEADER,
  parseToNode,
  type ToNode,
  trunkPath,
} from "../../src/relay-nodes/link-protocol";
import type { RelayNodeObject } from "../../src/relay-nodes/object";
import { call, ORIGIN } from "./client";
import { LIMIT_MS } from "./eventually";
import { Socket } from "./socket";

/** The path of relay nodes. */
export const NODES = "/v1/relay-nodes";

/** A relay node that was made. */
export interface MadeNode {
  id: string;
  token: string;
}

/** Makes a relay node: with an organisation's key for that, with the root token a shared one. */
export async function makeNode(key: string, body: Record<string, unknown> = {}): Promise<MadeNode> {
  const answer = await call("POST", NODES, { key, body: { name: "Node", ...body } });
  if (answer.status !== 201) throw new Error(`no relay node was made: ${answer.text}`);
  return { id: answer.body.id, token: answer.body.token };
}

/** The object of a node. */
export function nodeStub(id: string): DurableObjectStub<RelayNodeObject> {
  return env.RELAY_NODES.getByName(id);
}

/** How a test's node behaves, if not as it should. */
export interface Manner {
  /** The types of messages that it does not answer. */
  mute?: ToNode["type"][];
  /** With which code it refuses `assign`. */
  refuses?: string;
  /** What it says of these users, by ordinal; a test may change it. */
  figures?: Record<number, { connected: boolean; bytes_in: number }>;
  hello?: Record<string, unknown>;
  /** The id that it says when it dials. */
  nodeId?: string;
  cf?: Record<string, string>;
}

/** Asks for a link, and returns the answer, whatever it is. */
export function askForLink(
  token: string,
  cf: Record<string, string> = {},
  nodeId?: string,
): Promise<Response> {
  const said = nodeId === undefined ? {} : { [NODE_ID_HEADER]: nodeId };
  const headers = { Upgrade: "websocket", Authorization: `Bearer ${token}`, ...said };
  const request = new Request<unknown, CfProperties>(`${ORIGIN}${LINK_PATH}`, { headers, cf });
  return exports.default.fetch(request);
}

/** A new node of this owner, linked and welcomed. */
export async function newLinkedNode(
  key: string,
  body: Record<string, unknown> = {},
  manner: Manner = {},
): Promise<FakeNode> {
  return link(await makeNode(key, body), manner);
}

/** Links a node, and waits until it is welcomed. */
export async function link(made: MadeNode, manner: Manner = {}): Promise<FakeNode> {
  const node = await open(made, manner);
  await node.next("welcome");
  return node;
}

/** Links a node, and says hello. */
export async function open(made: MadeNode, manner: Manner = {}): Promise<FakeNode> {
  const answer = await askForLink(made.token, manner.cf, manner.nodeId);
  if (!answer.webSocket) throw new Error(`no link: ${answer.status} ${await answer.text()}`);
  const node = new FakeNode(made, answer.webSocket, manner);
  node.send({
    type: "hello",
    protocol: LINK_PROTOCOL,
    version: "1.2.3",
    host: "play.example.com",
    ip: "203.0.113.7",
    ports: { server: 7001, client: 7002 },
    sessions: [],
    ...manner.hello,
  });
  return node;
}

export class FakeNode {
  readonly id: string;
  readonly token: string;
  readonly manner: Manner;
  /** The sessions that it carries now, by their id. */
  readonly sessions = new Map<string, AssignedSession>();
  /** All that it was told, in order; pongs are not among it. */
  readonly told: ToNode[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #ws: WebSocket;
  readonly #taken = new Set<ToNode>();
  #pongs = 0;
  #wake: () => void = () => {};

  constructor(made: MadeNode, ws: WebSocket, manner: Manner) {
    this.id = made.id;
    this.token = made.token;
    this.manner = manner;
    this.#ws = ws;
    this.closed = new Promise((resolve) => {
      ws.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
    ws.addEventListener("message", ({ data }) => this.#receive(String(data)));
    ws.accept();
  }

  send(message: Record<string, unknown>): void {
    this.#ws.send(JSON.stringify(message));
  }

  sendText(text: string): void {
    this.#ws.send(text);
  }

  close(): void {
    this.#ws.close(1000, "");
  }

  /** Pings, and waits for the pong. */
  async ping(): Promise<void> {
    const before = this.#pongs;
    this.sendText(LINK_PING);
    await this.#until(() => this.#pongs > before || undefined, "a pong");
  }

  /** The next message of this type that was not taken yet. */
  next<T extends ToNode["type"]>(type: T): Promise<Extract<ToNode, { type: T }>> {
    return this.#until(() => {
      const found = this.told.find((each) => each.type === type && !this.#taken.has(each));
      if (found) this.#taken.add(found);
      return found as Extract<ToNode, { type: T }> | undefined;
    }, type);
  }

  async #until<T>(look: () => T | undefined, what: string): Promise<T> {
    const endsAt = performance.now() + LIMIT_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (performance.now() > endsAt) throw new Error(`the relay node waited in vain for ${what}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 1_000);
      });
    }
  }

  #receive(text: string): void {
    const message = parseToNode(text);
    if (!message || message.type === "malformed") {
      throw new Error(`the relay node does not understand ${text}`);
    }
    if (message.type === "pong") this.#pongs += 1;
    else this.told.push(message);
    this.#answer(message);
    this.#wake();
  }

  #answer(message: ToNode): void {
    if (this.manner.mute?.includes(message.type)) return;
    if (message.type === "assign") {
      if (this.manner.refuses) {
        this.send({ type: "failed", ref: message.ref, code: this.manner.refuses });
        return;
      }
      this.sessions.set(message.session.id, message.session);
      this.send({ type: "done", ref: message.ref });
    } else if (message.type === "end") {
      this.sessions.delete(message.id);
      this.send({ type: "done", ref: message.ref });
    } else if (message.type === "permissions") {
      this.send({ type: "done", ref: message.ref });
    } else if (message.type === "figures") {
      const users = (this.sessions.get(message.id)?.users ?? []).map(({ n }) => {
        const counted = { connected: true, bytes_in: 100 + n, bytes_out: 200 + n, dropped: n };
        return { n, ...counted, ...this.manner.figures?.[n] };
      });
      this.send({ type: "figures", ref: message.ref, users });
    } else if (message.type === "load") {
      const figures = { users: 4, datagrams_per_second: 120, bytes_per_second: 9_000 };
      const sessions = this.sessions.size;
      this.send({ type: "load", ref: message.ref, sessions, dropped_per_second: 0, ...figures });
    }
  }
}

/** Opens the trunk of a session, as the node does. */
export async function openTrunk(token: string, sessionId: string): Promise<Socket> {
  const answer = await askForTrunk(token, sessionId);
  if (!answer.webSocket) throw new Error(`no trunk: ${answer.status} ${await answer.text()}`);
  return new Socket(answer.webSocket, false);
}

/** Asks for a trunk, and returns the answer, whatever it is. */
export function askForTrunk(token: string, sessionId: string): Promise<Response> {
  const headers = { Upgrade: "websocket", Authorization: `Bearer ${token}` };
  return exports.default.fetch(new Request(`${ORIGIN}${trunkPath(sessionId)}`, { headers }));
}
