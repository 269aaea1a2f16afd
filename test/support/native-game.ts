/**
 * Native games on a relay node that is linked to the Worker as `wrangler dev` runs it: what is made over
 * HTTP, and the UDP ends.
 */
import type { RelayNode, RelayNodeOptions } from "../../relay-node/relay-node";
import { eventually } from "./eventually";
import { clientData, hostData, ping, pong, toClient, toHost } from "./relay-datagrams";
import { startRelayNode } from "./relay-node-program";
import { UdpPeer } from "./udp-peer";

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
type Json = any;

/** Starts the node program in this process, and waits until it is linked. */
export async function startLinkedNode(
  origin: string,
  token: string,
  more: Partial<RelayNodeOptions> = {},
): Promise<RelayNode> {
  const node = await startRelayNode(new URL(origin), token, {
    host: "127.0.0.1",
    version: "0.0.0-test",
    ...more,
  });
  await eventually(() => {
    if (!node.forwarder.knowsAllSessions) throw new Error("the node is not linked");
  });
  return node;
}

/** One user of a session, at its UDP end. */
export class NativePlayer {
  peer: UdpPeer;
  readonly n: number;
  readonly #session: number;
  readonly token: number;

  private constructor(peer: UdpPeer, session: Json, n: number) {
    this.peer = peer;
    this.n = n;
    this.#session = session.authorization_token;
    this.token = session.session_users[n].authorization_token;
  }

  /** The user with this ordinal of a session as the API shows it. Nothing is sent yet. */
  static async of(session: Json, n: number): Promise<NativePlayer> {
    const { server, client } = session.relay.ports;
    return new NativePlayer(await UdpPeer.open((n === 0 ? server : client).port), session, n);
  }

  /** Pings until it gets this state. What else comes meanwhile is dropped. */
  async state(state: number): Promise<void> {
    await this.peer.until(ping(this.token, this.#session), pong(state));
  }

  /** Sends a ping, and does not wait for its answer. */
  async ping(): Promise<void> {
    await this.peer.send(ping(this.token, this.#session));
  }

  /** From now on it sends from another address, as after a NAT has forgotten the old one. */
  async moves(): Promise<void> {
    const port = this.peer.port;
    this.peer.close();
    this.peer = await UdpPeer.open(port);
  }

  /** A client sends to the host. */
  async toHost(payload: string | Buffer): Promise<void> {
    await this.peer.send(clientData(this.token, this.#session, payload));
  }

  /** The host sends to a client. */
  async toClient(to: number, payload: string | Buffer): Promise<void> {
    await this.peer.send(hostData(this.token, this.#session, { to, payload }));
  }

  close(): void {
    this.peer.close();
  }
}

/** What the host gets of a client, and what a client gets. */
export { toClient, toHost };
