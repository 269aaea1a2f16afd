/**
 * One relay node: the Durable Object at the other end of its link. It gives the node its sessions, again
 * after each reconnect; asks and tells it what sessions' objects want to know and to change; and finds out
 * when it is lost. While nothing changes it sleeps: the platform answers the node's pings.
 *
 * Its alarm rings 25 s after the node was last heard, and so about every 20 s while it is linked: one row.
 */
import { DurableObject } from "cloudflare:workers";
import { openDatabase } from "../db/open";
import { type Config, readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { closeSocket } from "../relay/participant";
import type { NodeFigures, NodeReports, RelayNodeCalls } from "../session/relay-node";
import { CarriedSessions } from "./carried-sessions";
import { type FromNode, type Hello, type NodeLoad, parseFromNode } from "./link-protocol";
import { LinkQuestions } from "./link-questions";
import {
  isOpen,
  type LinkAttachment,
  markClosed,
  readLink,
  refuseLink,
  sendToNode,
} from "./link-socket";
import type { LinkRefusal, LinkRequest, NodeAdministration } from "./node-calls";
import { NodeClock } from "./node-clock";
import { NodeLinks } from "./node-links";
import { NodeState } from "./node-state";
import { findTokens } from "./node-store";
import { NodeTokens } from "./node-tokens";
import { TrunkTokens } from "./trunk-tokens";
import { protocolRefusal, toWelcome } from "./welcome";

/** How long a reader waits for a node's load. */
const LOAD_MS = 500;

export class RelayNodeObject
  extends DurableObject<Env>
  implements RelayNodeCalls, NodeAdministration
{
  readonly #config: Config;
  readonly #links: NodeLinks;
  readonly #questions: LinkQuestions;
  readonly #state: NodeState;
  readonly #tokens: NodeTokens;
  readonly #carried: CarriedSessions;
  readonly #trunks: TrunkTokens;
  readonly #clock: NodeClock;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readConfig(env);
    const { kv } = ctx.storage;
    const links = new NodeLinks(ctx);
    const reportFailed = () => this.#clock.setAlarm(Date.now());
    const state = new NodeState({ ctx, env, reportFailed });
    const questions = new LinkQuestions({
      links,
      blindAt: (now) => state.blindAt(now),
      closeUnanswered: (ws) => {
        const message = "You did not do in time what you were told. Come back.";
        this.#refuse(ws, "unanswered", "unanswered", message);
      },
    });
    const session = (id: string) => env.SESSIONS.getByName(id) as unknown as NodeReports;
    const { secret } = this.#config;
    this.#links = links;
    this.#state = state;
    this.#questions = questions;
    const carried = new CarriedSessions({ kv, links, questions, state, secret, session });
    const working = () => this.#tokens.working(Date.now());
    const trunks = new TrunkTokens({ kv, state, carried, session, working });
    this.#carried = carried;
    this.#trunks = trunks;
    const { storage } = ctx;
    const read = () => findTokens(openDatabase(env), ctx.id.name ?? state.id, Date.now());
    const tokens = new NodeTokens({ kv, read, changed: () => this.#useTokens() });
    this.#tokens = tokens;
    this.#clock = new NodeClock({ storage, links, questions, state, carried, trunks, tokens });
  }

  place(...asked: Parameters<RelayNodeCalls["place"]>): ReturnType<RelayNodeCalls["place"]> {
    return this.#carried.place(...asked);
  }

  update(...asked: Parameters<RelayNodeCalls["update"]>): Promise<number | null> {
    return this.#carried.update(...asked);
  }

  release(sessionId: string, reason: string): Promise<number | null> {
    return this.#carried.release(sessionId, reason);
  }

  permissions(...asked: Parameters<RelayNodeCalls["permissions"]>): Promise<number | null> {
    return this.#carried.permissions(...asked);
  }

  sockets(sessionId: string, open: boolean): Promise<void> {
    return this.#carried.sockets(sessionId, open);
  }

  figures(sessionId: string): Promise<readonly NodeFigures[] | null> {
    return this.#carried.figures(sessionId);
  }

  async load(): Promise<NodeLoad | null> {
    const answer = await this.#questions.ask(LOAD_MS, (ref) => ({ type: "load", ref }));
    if (answer?.type !== "load") return null;
    const { type: _type, ref: _ref, ...load } = answer;
    return load;
  }

  async drain(drained: boolean): Promise<void> {
    this.#state.setDrained(drained);
    this.#links.setDrained(drained);
    const link = this.#links.current();
    if (!link) return;
    sendToNode(link, { type: "drain", draining: drained });
    this.#state.showLinked();
    await this.#state.reported;
  }

  async tokensWillChange(): Promise<void> {
    const now = Date.now();
    this.#tokens.willChange(now);
    this.#clock.setAlarm(now);
  }

  async tokensChanged(): Promise<void> {
    await this.#tokens.refresh();
    await this.#clock.tellTrunks();
    this.#clock.setAlarm(Date.now());
  }

  async remove(): Promise<void> {
    this.#tokens.forget();
    this.#trunks.forget();
    this.#links.closeAll();
    this.#questions.giveUp();
    if (!this.#state.record) return this.#state.forget();
    this.#state.removed(Date.now());
    await this.#clock.failSessions();
    this.#clock.setAlarm(Date.now());
  }

  override async fetch(request: Request): Promise<Response> {
    const asked: LinkRequest = JSON.parse(request.headers.get("Drawbridge-Node") ?? "null");
    const { tokenDigest, latitude, longitude } = asked;
    try {
      const token = await this.#tokens.verify(tokenDigest, Date.now());
      if (!token) return refusal("unknown-token");
      const settings = asked.settings ?? this.#state.record?.settings;
      // A node that was never linked is known to D1 only.
      if (!settings) return refusal("token-not-read");
      const now = Date.now();
      const tokenUntil = token.validUntil;
      const link = { settings, tokenDigest, tokenUntil, latitude, longitude };
      const webSocket = this.#links.accept(link, now);
      // Closes it if it never says hello.
      this.#clock.setAlarm(now);
      return new Response(null, { status: 101, webSocket });
    } catch (error) {
      log("relay node's tokens not read", { node: this.#state.id, error: describeError(error) });
      return refusal("token-not-read");
    }
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    const now = Date.now();
    this.#links.closeWithEndedToken(now);
    const link = readLink(ws);
    if (!link || !isOpen(ws)) return this.#clock.noticeLostLink(now);
    const parsed =
      typeof message === "string"
        ? parseFromNode(message)
        : ({ type: "malformed", problem: "a binary message" } as const);
    if (parsed === null) return;
    if (parsed.type === "malformed") {
      const { problem } = parsed;
      log("relay node sent a malformed message", { node: link.settings.id, problem });
      this.#refuse(ws, "malformed", "malformed", `A message was malformed: ${problem}.`);
    } else if (link.greeted) {
      this.#links.heard(now);
      await this.#receive(ws, parsed, now);
    } else if (parsed.type === "hello") {
      this.#greet(ws, link, parsed, now);
    } else {
      this.#refuse(ws, "malformed", "malformed", "The first message of a link is hello.");
    }
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code, "");
    this.#clock.noticeLostLink(Date.now());
  }

  override async webSocketError(): Promise<void> {
    this.#clock.noticeLostLink(Date.now());
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    try {
      this.#links.closeWithEndedToken(now);
      const heardAt = this.#links.closeUnheard(now);
      if (this.#state.record?.removed) {
        await this.#clock.failSessions();
        return;
      }
      // After a deploy of the Worker, websockets are gone without a close event.
      this.#clock.noticeLostLink(heardAt ?? now);
      this.#clock.loseIfDue(now);
      this.#carried.dropStale(now);
      if (this.#state.isLost) await this.#clock.failSessions();
      await this.#clock.lookAfterTokens(now);
      if (this.#state.record?.owed) await this.#state.report();
    } catch (error) {
      log("relay node's alarm failed", { error: describeError(error) });
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      this.#clock.setAlarm(now);
    }
  }

  /** Other tokens work now: closes links and trunks that came with another one, or says until when they may stay. */
  #useTokens(): void {
    const now = Date.now();
    this.#links.setTokenEnds((digest) => {
      const token = this.#tokens.find(digest, now);
      return token ? token.validUntil : now;
    });
    this.#links.closeWithEndedToken(now);
    this.#trunks.changed();
    this.#clock.noticeLostLink(now);
    this.#clock.setAlarm(now);
  }

  #greet(ws: WebSocket, link: LinkAttachment, hello: Hello, now: number): void {
    const refused = protocolRefusal(hello);
    if (refused) {
      this.#refuse(ws, "wrongProtocol", refused.code, refused.message);
      return;
    }
    this.#questions.giveUp();
    this.#links.greeted(ws, link, now);
    this.#state.greeted(link, hello, now);
    sendToNode(ws, toWelcome(this.#state, this.#config.relay));
    this.#carried.giveAll(ws, hello.sessions, now);
    this.#clock.setAlarm(now);
  }

  async #receive(ws: WebSocket, message: FromNode, now: number): Promise<void> {
    switch (message.type) {
      case "hello":
        return;
      case "done":
      case "failed":
      case "figures":
        return this.#questions.answer(message);
      case "load":
        return message.ref ? this.#questions.answer(message) : this.#state.saveLoad(message, now);
      case "silent":
        return this.#carried.silent(message.id);
      case "permissions":
        return this.#carried.sendPermissions(ws, message.id);
      case "draining":
        return this.#state.startedDraining();
      case "leaving":
        return this.#leave(ws, now);
    }
  }

  /** The node ends now. */
  async #leave(ws: WebSocket, now: number): Promise<void> {
    markClosed(ws);
    closeSocket(ws, 1000, "left");
    this.#questions.giveUp();
    this.#clock.lose(now);
    // The alarm is for what cannot be told now.
    this.#clock.setAlarm(now);
    await this.#clock.failSessions();
    this.#clock.setAlarm(Date.now());
  }

  #refuse(
    ws: WebSocket,
    close: Parameters<typeof refuseLink>[1],
    code: string,
    message: string,
  ): void {
    refuseLink(ws, close, { code, message });
    this.#clock.noticeLostLink(Date.now());
  }
}

function refusal(code: LinkRefusal["code"]): Response {
  return Response.json({ code } satisfies LinkRefusal);
}
