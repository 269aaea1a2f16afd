/** A relay hub without a session around it, for tests of its limits. */
import { type HubPorts, RelayHub, type RelayLimits } from "../../src/relay/relay-hub";
import { Socket } from "./socket";

/** The limits as wrangler.toml sets them. */
export const LIMITS = {
  bytesPerSecond: 262_144,
  burstBytes: 1_048_576,
  messagesPerSecond: 500,
  burstMessages: 1_000,
  unheardBytes: 4_194_304,
  broadcastBytesPerSecond: 8_388_608,
};

/** Lets every frame pass. */
export const openToAll = { mayPass: () => true, whenFresh: () => null };

/** A frame of exactly so many bytes. */
export function sized(header: number[], frameBytes: number): Uint8Array {
  const frame = new Uint8Array(frameBytes);
  frame.set(header);
  return frame;
}

/** A hub with other limits than the deployment's. `host` may be set: who is the host. */
export function hubWith({ lastPing = () => null, ...limits }: Partial<RelayLimits & HubPorts>) {
  const session = { host: 0 };
  const ports = { gate: openToAll, lastPing, ...limits, host: () => session.host };
  const newHub = (sockets: WebSocket[]) =>
    new RelayHub(sockets, { ...LIMITS, ...limits }, new Map(), ports);
  const relay = { hub: newHub([]) };
  /** The relay's ends of all sockets that joined. */
  const inners: WebSocket[] = [];
  const origin = { address: "192.0.2.1", latitude: null, longitude: null };
  const join = (n: number): Socket => {
    const { 0: outer, 1: inner } = new WebSocketPair();
    inner.binaryType = "arraybuffer";
    inner.accept();
    inner.addEventListener("message", ({ data }) => {
      relay.hub.receive(inner, data as ArrayBuffer | string, Date.now());
    });
    inners.push(inner);
    relay.hub.join(inner, n, { origin, pairing: null }, Date.now());
    return new Socket(outer, false);
  };
  /** Makes another user the host. */
  const changeHost = (after: number) => {
    const before = session.host;
    session.host = after;
    relay.hub.hostChanged(before, after);
  };
  /** As after an eviction: a new hub takes over the sockets. */
  const evict = () => {
    relay.hub = newHub(inners);
  };
  return { hub: relay.hub, join, inners, changeHost, evict, relay };
}
