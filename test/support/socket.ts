/**
 * A relay session of a test's own, and real websockets into it. Everything here waits for events,
 * with a limit that only a failing test reaches, so it works also while the clock is stopped.
 */
import { env, exports } from "cloudflare:workers";
import { type Answer, newOrganisation, ORIGIN } from "./client";
import { LIMIT_MS } from "./eventually";
import { create, read, remove, revoke, SESSIONS } from "./sessions";

/** A relay session, with what its users need to connect. */
export interface Relay {
  id: string;
  /** Of the organisation that owns it. */
  key: string;
  sessionToken: number;
  /** By ordinal: 0 is the host. */
  userTokens: number[];
  stub: DurableObjectStub<import("../../src/session-object/object").SessionObject>;
}

/** A new session of a new organisation, with so many users; `more` goes into the create. */
export async function newRelay(users: number, more: Record<string, unknown> = {}): Promise<Relay> {
  const { key } = await newOrganisation();
  const body = { users: Array.from({ length: users }, () => ({ ip: "192.0.2.1" })), ...more };
  return createRelay(key, body);
}

/** A new session of the key's organisation, made by a create with this body. */
export async function createRelay(key: string, body: Record<string, unknown>): Promise<Relay> {
  const made = await create(key, body);
  if (made.status !== 200) throw new Error(`the session was not made: ${made.status} ${made.text}`);
  const { session_id: id, authorization_token: sessionToken, session_users } = made.body;
  const userTokens = session_users.map(
    (user: { authorization_token: number }) => user.authorization_token,
  );
  return { id, key, sessionToken, userTokens, stub: env.SESSIONS.getByName(id) };
}

/** Revokes user `n`, as the organisation. */
export function revokeUser(relay: Relay, n: number): Promise<Answer> {
  return revoke(relay.key, relay.id, relay.userTokens[n]);
}

/** Deletes the session, as the organisation. */
export function endRelay(relay: Relay): Promise<Answer> {
  return remove(relay.key, relay.id);
}

/** How to connect, if not in the ordinary way of user `n`. */
export interface Way {
  side?: string;
  /** The whole query, in place of both tokens. */
  query?: string;
  ip?: string;
  /** The subprotocols to offer, separated by commas. */
  protocols?: string;
  /** Where the client is, as Cloudflare says. */
  cf?: Record<string, string>;
  /** Does not answer when the relay closes: a client whose network is gone. */
  halfOpen?: boolean;
}

/** Asks for an upgrade, and returns the answer, whatever it is. */
export async function upgrade(relay: Relay, n: number, way: Way = {}): Promise<Response> {
  const side = way.side ?? (n === 0 ? "server" : "client");
  const query = way.query ?? tokensOf(relay, n);
  const headers = new Headers({ Upgrade: "websocket" });
  if (way.ip !== undefined) headers.set("CF-Connecting-IP", way.ip);
  if (way.protocols !== undefined) headers.set("Sec-WebSocket-Protocol", way.protocols);
  const url = `${ORIGIN}${SESSIONS}/${relay.id}/${side}?${query}`;
  return exports.default.fetch(
    new Request<unknown, CfProperties>(url, { headers, ...(way.cf ? { cf: way.cf } : {}) }),
  );
}

/** Asks for an upgrade, and leaves at once if let in: for tests of which users are let in. */
export async function tryConnect(relay: Relay, n: number, way: Way = {}): Promise<Answer> {
  const response = await upgrade(relay, n, way);
  const { status, headers, webSocket } = response;
  if (webSocket) {
    const socket = new Socket(webSocket, false);
    socket.close(1000);
    await socket.closed;
    return { status, headers, text: "", body: undefined };
  }
  const text = await response.text();
  return { status, headers, text, body: JSON.parse(text) };
}

/** The query with which user `n` connects. */
export function tokensOf(relay: Relay, n: number): string {
  return `session_token=${relay.sessionToken}&user_token=${relay.userTokens[n]}`;
}

/** The subprotocols with which user `n` connects without a credential in the URL. */
export function v1(relay: Relay, n: number): Way {
  const tokens = `tokens.${relay.sessionToken}.${relay.userTokens[n]}`;
  return { query: "", protocols: `drawbridge.v1, ${tokens}` };
}

/** Asks for an upgrade with the subprotocol, and returns how the relay closes it. */
export async function refusedWith(
  relay: Relay,
  n: number,
  way: Way = {},
): Promise<{ code: number; reason: string }> {
  const answer = await upgrade(relay, n, { ...v1(relay, n), ...way });
  if (!answer.webSocket) throw new Error(`not opened: ${answer.status} ${await answer.text()}`);
  return new Socket(answer.webSocket, false).closed;
}

/** Connects user `n`, and waits until the relay has said that it is ready. */
export async function connect(relay: Relay, n: number, way: Way = {}): Promise<Socket> {
  const answer = await upgrade(relay, n, way);
  if (!answer.webSocket) throw new Error(`not let in: ${answer.status} ${await answer.text()}`);
  const socket = new Socket(answer.webSocket, way.halfOpen ?? false);
  await socket.control("ready");
  return socket;
}

/** A control message of the relay. */
export interface Control {
  type: string;
  connection_id?: number;
  role?: string;
  reason?: string;
}

type Received = { control: Control } | { frame: Uint8Array } | { pong: true };

/** A participant's end of a websocket. Messages are kept in their order until they are taken. */
export class Socket {
  /** Resolves when the socket is closed by either side. */
  readonly closed: Promise<{ code: number; reason: string }>;
  /** All control messages so far, taken or not. */
  readonly controls: Control[] = [];
  readonly #ws: WebSocket;
  readonly #inbox: Received[] = [];
  #wake: () => void = () => {};
  #close: { code: number; reason: string } | null = null;

  constructor(ws: WebSocket, halfOpen: boolean) {
    this.#ws = ws;
    ws.binaryType = "arraybuffer";
    ws.addEventListener("message", ({ data }) => {
      const received = toReceived(data as ArrayBuffer | string);
      if ("control" in received) this.controls.push(received.control);
      this.#inbox.push(received);
      this.#wake();
    });
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      ws.addEventListener("close", ({ code, reason }) => {
        this.#close = { code, reason };
        this.#wake();
        resolve(this.#close);
      });
    });
    this.closed = limited(closed, "the socket to close");
    // Only tests that expect it await it.
    this.closed.catch(() => undefined);
    ws.accept({ allowHalfOpen: halfOpen });
  }

  /** True until either side has closed it. */
  get open(): boolean {
    return this.#close === null;
  }

  send(...bytes: number[]): void {
    this.#ws.send(Uint8Array.from(bytes));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#ws.send(bytes);
  }

  sendText(text: string): void {
    this.#ws.send(text);
  }

  close(code?: number, reason?: string): void {
    this.#ws.close(code, reason);
  }

  /** The next binary message, as numbers; control messages before it stay. */
  async frame(): Promise<number[]> {
    return [...(await this.frameBytes())];
  }

  /** The next binary message. */
  async frameBytes(): Promise<Uint8Array> {
    const found = await this.#take((received) => "frame" in received, "a frame");
    return (found as { frame: Uint8Array }).frame;
  }

  /** The next control message of this type; what came before it stays. */
  async control(type: string): Promise<Control> {
    const found = await this.#take(
      (received) => "control" in received && received.control.type === type,
      `a control message ${type}`,
    );
    return (found as { control: Control }).control;
  }

  /** Pings by text, and waits for the answer. The relay itself handles neither. */
  async pingByText(): Promise<void> {
    this.sendText("ping");
    await this.#take((received) => "pong" in received, "a pong");
  }

  /**
   * Pings, and returns the data frames that arrived before the answer: all that the relay had sent
   * to this participant until it handled the ping.
   */
  async settle(): Promise<number[][]> {
    const before: number[][] = [];
    this.send(1);
    for (;;) {
      const frame = await this.frame();
      if (frame[0] === 1) return before;
      before.push(frame);
    }
  }

  async #take(fits: (received: Received) => boolean, what: string): Promise<Received> {
    const search = async (): Promise<Received> => {
      for (;;) {
        const index = this.#inbox.findIndex(fits);
        const [found] = index < 0 ? [] : this.#inbox.splice(index, 1);
        if (found) return found;
        if (this.#close) throw new Error(`closed with ${this.#close.code}, waiting for ${what}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    return limited(search(), what);
  }
}

function toReceived(data: ArrayBuffer | string): Received {
  if (typeof data !== "string") return { frame: new Uint8Array(data) };
  return data === "pong" ? { pong: true } : { control: JSON.parse(data) };
}

async function limited<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A client's data frame. */
export function fromClient(...payload: number[]): number[] {
  return [2, ...payload];
}

/** A data frame of the host, or one for the host, with a client's connection id (below 128). */
export function withId(connectionId: number, ...payload: number[]): number[] {
  return [2, connectionId, 0, 0, 0, ...payload];
}

/** User `n` as the API shows it now. */
export async function readUser(relay: Relay, n: number) {
  return (await read(relay.key, relay.id)).body.session_users[n];
}
