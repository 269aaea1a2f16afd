/**
 * A relay by hand: one object for each session, websockets that hibernate, and a map of who is there. Frames as in
 * Drawbridge: `02` and a payload from and to a client, `02`, an id (int32) and a payload from and to the host.
 */
import { DurableObject } from "cloudflare:workers";

const DATA = 2;

/** Connects a websocket: `/relay/<room>/<id>`. */
export function connect(request, env) {
  const { pathname } = new URL(request.url);
  return env.ReferenceRelay.getByName(pathname.split("/")[2]).fetch(request);
}

/** The object of one session. */
export class ReferenceRelay extends DurableObject {
  #host = null;
  #clients = new Map();
  #ids = new Map();

  constructor(ctx, env) {
    super(ctx, env);
    for (const ws of ctx.getWebSockets()) this.#add(ws, ws.deserializeAttachment());
  }

  fetch(request) {
    const id = Number(request.url.slice(request.url.lastIndexOf("/") + 1));
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment(id);
    this.#add(server, id);
    server.send('{"type":"ready"}');
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(ws, message) {
    const id = this.#ids.get(ws);
    const bytes = new Uint8Array(message);
    if (id === undefined || bytes[0] !== DATA) return;
    route(bytes, id, this.#host, this.#clients);
  }

  webSocketClose(ws) {
    const id = this.#ids.get(ws);
    this.#ids.delete(ws);
    if (id === 0) this.#host = null;
    else this.#clients.delete(id);
    ws.close(1000);
  }

  #add(ws, id) {
    this.#ids.set(ws, id);
    if (id === 0) this.#host = ws;
    else this.#clients.set(id, ws);
  }
}

/** Passes a frame on: of the host (id 0) to the client that it names, of a client to the host. */
export function route(bytes, id, host, clients) {
  if (id === 0) {
    const to = new DataView(bytes.buffer, bytes.byteOffset).getInt32(1, true);
    const frame = new Uint8Array(bytes.length - 4);
    frame[0] = DATA;
    frame.set(bytes.subarray(5), 1);
    clients.get(to)?.send(frame);
    return;
  }
  const frame = new Uint8Array(bytes.length + 4);
  frame[0] = DATA;
  new DataView(frame.buffer).setInt32(1, id, true);
  frame.set(bytes.subarray(1), 5);
  host?.send(frame);
}
