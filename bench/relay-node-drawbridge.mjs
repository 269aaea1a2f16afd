/** What the measurements of a relay node need of Drawbridge: sessions whose tokens are known, and a link. */
import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

/** How many users each session has. */
export const USERS = 4;
/** The tokens, as in `bench/relay-node-subject.ts`. */
export const sessionToken = (s) => 1_000_000 + s;
export const userToken = (s, n) => 2_000_000 + s * USERS + n;

/** What a node needs of Drawbridge: a welcome, its sessions, and answers to its pings. */
export async function startDrawbridge(sessions) {
  const server = createServer();
  const limits = {
    bytes_per_second: 1e9,
    burst_bytes: 1e9,
    messages_per_second: 1e7,
    burst_messages: 1e7,
  };
  new WebSocketServer({ server }).on("connection", (ws) => {
    const send = (message) => ws.send(JSON.stringify(message));
    ws.on("message", (data) => {
      const message = JSON.parse(String(data));
      if (message.type === "ping") send({ type: "pong" });
      if (message.type !== "hello") return;
      send({
        type: "welcome",
        protocol: 1,
        node_id: "rn_bench",
        ping_seconds: 10,
        blind_seconds: 30,
        limits,
        draining: false,
      });
      for (let s = 0; s < sessions; s++) {
        const users = Array.from({ length: USERS }, (_, n) => ({
          n,
          token: userToken(s, n),
          gated: false,
        }));
        const session = {
          id: `${s}-S`,
          token: sessionToken(s),
          idle_seconds: 3_600,
          expires_at: 4e12,
          users,
          permissions: null,
          trunk: false,
        };
        send({ type: "assign", ref: String(s), session });
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A datagram of the user `n` of the session `s`. `to`: for which client, if it is the host's. */
export function datagram(s, n, type, payload, to) {
  const header = Buffer.alloc(to === undefined ? 9 : 13);
  header.writeUInt32LE(userToken(s, n), 0);
  header.writeUInt32LE(sessionToken(s), 4);
  header[8] = type;
  if (to !== undefined) header.writeInt32LE(to, 9);
  return Buffer.concat([header, payload]);
}

/** The middle one. */
export function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/** Prints a line of the result. */
export function print(name, figure, details) {
  console.log(`${name.padEnd(36)} ${figure.padEnd(40)} ${details}`);
}
