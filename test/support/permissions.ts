/** Connections and relay permissions of a test's own. */
import { type Answer, call } from "./client";
import { newRelay, type Relay, type Socket } from "./socket";

export type State = "absent" | "present" | "enabled" | "disabled";

/** Registers connections. */
export async function register(key: string, ...ids: string[]): Promise<void> {
  for (const connectionId of ids) {
    const { status, text } = await call("POST", "/api/v2/connections/definition", {
      key,
      body: { connectionId },
    });
    if (status !== 201) throw new Error(`the connection was not registered: ${status} ${text}`);
  }
}

/** Creates a permission; `enabled` is left out of the body where it is left out here. */
export function create(
  key: string,
  connectionId: string,
  remoteConnectionId: string,
  direction: string,
  enabled?: string,
): Promise<Answer> {
  const body = { connectionId, remoteConnectionId, direction, ...(enabled ? { enabled } : {}) };
  return call("POST", "/api/v2/relay/permission", { key, body });
}

/** The path of a permission. */
export function at(connectionId: string, remoteConnectionId: string, direction: string): string {
  return `/api/v2/relay/permission/${connectionId}/${remoteConnectionId}/${direction}`;
}

/** Switches a permission on or off. */
export async function set(key: string, path: string, enabled: boolean): Promise<void> {
  const { status, text } = await call("PUT", path, { key, body: { enabled: String(enabled) } });
  if (status !== 200) throw new Error(`not switched: ${status} ${text}`);
}

/**
 * Brings a permission into a state: created without `enabled`, switched on, or on and off again.
 */
export async function bring(key: string, path: string, state: State): Promise<void> {
  if (state === "absent") return;
  const [local = "", remote = "", direction = ""] = path.split("/").slice(-3);
  const made = await create(
    key,
    local,
    remote,
    direction,
    state === "present" ? undefined : "true",
  );
  if (made.status !== 201) throw new Error(`not made: ${made.status} ${made.text}`);
  if (state === "disabled") await set(key, path, false);
}

/** Lets both connections send to each other. */
export async function allowBoth(key: string, a: string, b: string): Promise<void> {
  for (const [local, remote] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const direction of ["send", "receive"]) {
      const { status, text } = await create(key, local, remote, direction, "true");
      if (status !== 201) throw new Error(`not made: ${status} ${text}`);
    }
  }
}

/** A relay session of users with these connections (null: none), each registered. */
export async function newConnectedRelay(...connections: (string | null)[]): Promise<Relay> {
  const users = connections.map((connection_id) => ({ ip: "192.0.2.1", connection_id }));
  const relay = await newRelay(0, { users });
  const named = connections.filter((id) => id !== null);
  await register(relay.key, ...new Set(named));
  return relay;
}

/**
 * Whether a frame arrives: decided when the relay has handled and delivered all that was sent by
 * then.
 */
export async function passes(from: Socket, to: Socket, frame: number[]): Promise<boolean> {
  from.send(...frame);
  await from.settle();
  return (await to.settle()).length > 0;
}

/** How often a socket was told that it may not send to a peer. */
export function refusals(socket: Socket): number {
  return socket.controls.filter(({ type }) => type === "refused").length;
}

/** Sends frames until one arrives, or until none does. */
export async function until(
  passing: boolean,
  from: Socket,
  to: Socket,
  frame: number[],
): Promise<void> {
  for (let i = 0; i < 2_000; i++) if ((await passes(from, to, frame)) === passing) return;
  throw new Error(`frames ${passing ? "never pass" : "go on passing"}`);
}
