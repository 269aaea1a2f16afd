/** Relay sessions whose users have devices, and websockets that are opened with a device token. */
import { exports } from "cloudflare:workers";
import { ORIGIN } from "./client";
import { newAddress, type TestApplication } from "./devices";
import { createRelay, type Relay, Socket } from "./socket";

/** A relay session of users who each have a device or (null) none; its id. */
export async function newSession(
  at: TestApplication,
  deviceIds: (string | null)[],
): Promise<string> {
  return (await newRelayOf(at, deviceIds)).id;
}

/** Like `newSession`, with what its users need to connect by their tokens. */
export async function newRelayOf(
  at: TestApplication,
  deviceIds: (string | null)[],
): Promise<Relay> {
  const users = deviceIds.map((device_id) => ({ ip: "192.0.2.1", device_id }));
  return createRelay(at.key, { users });
}

/** Asks for an upgrade with a device token ("": none), and returns the answer, whatever it is. */
export function upgrade(
  session: string,
  side: "server" | "client",
  token: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  return exports.default.fetch(
    new Request(`${ORIGIN}/v1/relays/sessions/${session}/${side}`, {
      headers: {
        Upgrade: "websocket",
        "CF-Connecting-IP": newAddress(),
        ...(token === "" ? {} : { Authorization: `Bearer ${token}` }),
        ...headers,
      },
    }),
  );
}

/** Connects, and waits until the relay has said that it is ready. */
export async function connect(session: string, side: "server" | "client", token: string) {
  const answer = await upgrade(session, side, token);
  if (!answer.webSocket) throw new Error(`not let in: ${answer.status} ${await answer.text()}`);
  const socket = new Socket(answer.webSocket, false);
  await socket.control("ready");
  return socket;
}
