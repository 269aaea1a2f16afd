/**
 * The websockets of a session, from the upgrade to their end: what they send goes to the relay's hub, and
 * what follows from it for the session (its clock, its counters, its relay node) is done here. The
 * session's object calls it.
 */
import { closeSocket, readAttachment } from "../relay/participant";
import { TEXT_PING, TEXT_PONG } from "../relay/protocol";
import type { TrunkOpening } from "../session/relay-node";
import { isFinal } from "../session/session";
import { readTrunkRequest } from "../session/session-calls";
import type { Admission } from "./admission";
import type { Announcer } from "./announcer";
import type { SessionClock } from "./clock";
import type { ComingsAndGoings } from "./comings-and-goings";
import type { SessionCommands } from "./commands";
import type { LoadedSession } from "./loaded-session";
import type { NodeLink } from "./node-link";

/** The object whose websockets they are, with the parts of it that they need. */
interface SocketsContext {
  ctx: DurableObjectState;
  admission: Admission;
  commands: SessionCommands;
  clock: SessionClock;
  presence: ComingsAndGoings;
  nodes: NodeLink;
  announcer: Announcer;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

const NOT_FOUND = { code: "not-found" } as const;
/** How many messages may wait only because others of their socket do, of at most 64 KB each. */
const MAX_WAITING_BEHIND = 256;

export class SessionSockets {
  readonly #object: SocketsContext;
  /** What the newest waiting message of a socket waits for. */
  readonly #turns = new WeakMap<WebSocket, Promise<unknown>>();
  #waitingBehind = 0;

  constructor(object: SocketsContext) {
    this.#object = object;
    // The platform answers these itself, and the object sleeps on.
    object.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(TEXT_PING, TEXT_PONG));
  }

  /** Answers an upgrade of a participant or of a relay node's trunk: `SessionCalls.fetch`. */
  async upgrade(request: Request, loaded: LoadedSession | null): Promise<Response> {
    const opening = readTrunkRequest(request);
    if (opening !== null) return this.#openTrunk(loaded, opening);
    if (!loaded) return Response.json(NOT_FOUND);
    loaded.hub.node.closeIfTokenEnded(Date.now());
    const answer = await this.#object.admission.admit(request, loaded, Date.now());
    this.#object.presence.socketsChanged(loaded, Date.now());
    this.tellNode(loaded);
    return answer instanceof Response ? answer : Response.json(answer);
  }

  /** Handles a message: at once, where nothing has to be waited for. Else it is handled when the promise resolves. */
  message(ws: WebSocket, message: ArrayBuffer | string): Promise<void> | undefined {
    const loaded = this.#object.current();
    if (loaded && !loaded.hub.isParticipant(ws) && loaded.hub.node.isTrunk(ws)) {
      this.#receiveFromNode(loaded, ws, message);
      return undefined;
    }
    const now = Date.now();
    const ready = loaded?.hub.whenPermissionsFresh(ws, now) ?? null;
    const turn = this.#turnOf(ws, ready);
    if (!turn) return this.#receive(ws, message, now);
    return turn.then(() => this.#receive(ws, message, Date.now()));
  }

  #receive(ws: WebSocket, message: ArrayBuffer | string, now: number): Promise<void> | undefined {
    const { current, commands, announcer } = this.#object;
    const loaded = current();
    if (!loaded) return undefined;
    // Checks only `expiresAt`: with an open socket the session cannot be idle.
    if (now >= loaded.session.expiresAt && commands.endIfDue(loaded, now)) {
      return announcer.announce();
    }
    const before = loaded.hub.size;
    loaded.hub.node.closeIfTokenEnded(now);
    loaded.hub.receive(ws, message, now);
    loaded.hub.closeSilent(now);
    if (loaded.hub.size < before) this.afterClosing(loaded, now);
    return undefined;
  }

  /**
   * What a message waits for: for what it needs itself, and for those that its socket has sent before. It may
   * need nothing any more where they do: if another user has become the host meanwhile. Null: for nothing.
   */
  #turnOf(ws: WebSocket, ready: Promise<unknown> | null): Promise<unknown> | null {
    const before = this.#turns.get(ws);
    if (!before) {
      if (!ready) return null;
    } else if (!ready && this.#waitingBehind >= MAX_WAITING_BEHIND) return null;
    if (before) this.#waitingBehind += 1;
    const turn = Promise.all([before, ready]);
    this.#turns.set(ws, turn);
    return turn.finally(() => {
      if (before) this.#waitingBehind -= 1;
      if (this.#turns.get(ws) === turn) this.#turns.delete(ws);
    });
  }

  /** Lets go of those whose other end is gone: see `RelayHub.closeSilent`. Called whenever the object is awake. */
  closeSilent(loaded: LoadedSession, now: number): void {
    const before = loaded.hub.size;
    loaded.hub.closeSilent(now);
    if (loaded.hub.size < before) this.afterClosing(loaded, now);
  }

  /** A socket was closed from its other end. */
  closed(ws: WebSocket, code: number): void {
    // Without an answering close, clients wait ten seconds for a 1006 (2026-11).
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code, "");
    this.forget(ws);
  }

  /** A socket is gone. */
  forget(ws: WebSocket): void {
    const loaded = this.#object.current();
    if (!loaded) return;
    if (loaded.hub.node.isTrunk(ws)) {
      loaded.hub.node.leaveTrunk(ws);
      return;
    }
    const now = Date.now();
    const attached = readAttachment(ws);
    if (attached && !attached.closed) loaded.departures.noteClosing(attached.n);
    loaded.hub.leave(ws);
    loaded.hub.closeSilent(now);
    this.afterClosing(loaded, now);
  }

  /** A participant's socket has closed: its counters are kept, and after the last one the idle clock starts. */
  afterClosing(loaded: LoadedSession, now: number): void {
    if (isFinal(loaded.session)) return;
    this.#object.presence.socketsChanged(loaded, now);
    if (loaded.hub.size === 0) this.#object.clock.restartIdleTime(loaded, now);
    this.tellNode(loaded);
  }

  /** Tells the relay node when the first websocket has come, or the last has gone. */
  tellNode(loaded: LoadedSession): void {
    const hasSockets = loaded.hub.size > 0;
    if (hasSockets === loaded.nodeKnowsSockets) return;
    loaded.nodeKnowsSockets = hasSockets;
    this.#object.nodes.tellSockets(loaded);
  }

  #receiveFromNode(loaded: LoadedSession, ws: WebSocket, message: ArrayBuffer | string): void {
    const { hub, session } = loaded;
    const before = hub.size;
    const now = Date.now();
    const isUser = (n: number) => session.users.some((user) => user.n === n);
    hub.node.closeIfTokenEnded(now);
    hub.node.receive(ws, message, isUser, now);
    if (hub.size < before) this.afterClosing(loaded, now);
  }

  /** Takes a trunk of the relay node that carries the session. */
  #openTrunk(loaded: LoadedSession | null, { nodeId, token }: TrunkOpening): Response {
    if (loaded?.session.node?.id !== nodeId || isFinal(loaded.session)) {
      return Response.json(NOT_FOUND);
    }
    const { 0: client, 1: server } = new WebSocketPair();
    this.#object.ctx.acceptWebSocket(server);
    loaded.hub.node.openTrunk(server, token, Date.now());
    return new Response(null, { status: 101, webSocket: client });
  }
}
