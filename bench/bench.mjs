/**
 * `npm run bench`: what one process of the real runtime does on this machine. Builds the Worker as it
 * is deployed, serves it with Miniflare (not `wrangler dev`, whose proxy answers about 400 requests a
 * second), and measures over loopback. Numbers differ between machines: compare runs on one machine.
 */
import { createServer } from "node:http";
import { measureBroadcast } from "./broadcast.mjs";
import { buildWorker, get, newOrganisation, percentile, post, print, serve } from "./server.mjs";

const REQUESTS = 1_000;
const AT_ONCE = 16;
const FRAMES = 20_000;
const PAYLOAD_BYTES = 200;
const WEBHOOKS = 500;

/** What one participant may do is no part of what the runtime can do. */
const NO_LIMITS = {
  RELAY_BYTES_PER_SECOND: "0",
  RELAY_MESSAGES_PER_SECOND: "0",
  RELAY_UNHEARD_BYTES: "0",
};

const built = buildWorker(".");
let server;
try {
  server = await serve(built, NO_LIMITS);
  const { url } = server;
  const headers = await newOrganisation(url);
  const sessions = `${url}v1/relays/sessions`;
  const body = { users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }] };
  const ids = [];

  await measure("create a session of 2 users", async () => {
    const answer = await post(sessions, headers, body);
    ids.push(answer.session_id);
  });
  await measure("get a session", (i) => get(`${sessions}/${ids[i % ids.length]}`, headers));
  await measure("authorize a user", (i) =>
    post(`${sessions}:authorize-user`, headers, {
      session_id: ids[i % ids.length],
      user_ip: "198.51.100.3",
    }),
  );
  await measure("list 20 of the live sessions", () => get(sessions, headers));
  await measureFrames(await post(sessions, headers, body));
  await measureWebhooks(url, headers, () => post(sessions, headers, body));

  // This one shows what holds within the limits that a deployment has.
  await server.stop();
  server = await serve(built);
  const owner = await newOrganisation(server.url);
  const users = Array.from({ length: 34 }, () => ({ ip: "198.51.100.1" }));
  const game = await post(`${server.url}v1/relays/sessions`, owner, { users });
  print(...(await measureBroadcast(game)));
} finally {
  await server?.stop();
  built.remove();
}

/** Runs a call many times, some side by side, and prints rate and latencies. */
async function measure(name, work) {
  for (let i = 0; i < 50; i++) await work(i);
  const latencies = [];
  const startedAt = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next < REQUESTS) {
        const i = next++;
        const from = performance.now();
        await work(i);
        latencies.push(performance.now() - from);
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const at = (part) => percentile(latencies, part).toFixed(1);
  print(name, `${Math.round(REQUESTS / seconds)} /s`, `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

/** Sends frames from a client to the host, in bursts, and waits until all have arrived. */
async function measureFrames(session) {
  const [host, client] = session.session_users.map((user, i) => {
    const { link } = i === 0 ? session.relay.ports.server : session.relay.ports.client;
    const token = `session_token=${session.authorization_token}&user_token=${user.authorization_token}`;
    return new WebSocket(`${link}?${token}`);
  });
  host.binaryType = "arraybuffer";
  await Promise.all([opened(host), opened(client)]);
  let arrived = 0;
  const all = new Promise((resolve) => {
    host.onmessage = ({ data }) => {
      if (typeof data !== "string" && ++arrived === FRAMES) resolve();
    };
  });
  const frame = new Uint8Array(PAYLOAD_BYTES + 1).fill(7);
  frame[0] = 2;
  const startedAt = performance.now();
  for (let i = 0; i < FRAMES; i++) client.send(frame);
  await all;
  const seconds = (performance.now() - startedAt) / 1_000;
  print(
    `relay ${PAYLOAD_BYTES}-byte frames`,
    `${Math.round(FRAMES / seconds)} /s`,
    "one client to its host",
  );

  const trips = [];
  const ping = Uint8Array.of(1);
  for (let i = 0; i < 500; i++) {
    const from = performance.now();
    const answered = new Promise((resolve) =>
      client.addEventListener("message", resolve, { once: true }),
    );
    client.send(ping);
    await answered;
    trips.push(performance.now() - from);
  }
  trips.sort((a, b) => a - b);
  print(
    "ping through the relay",
    "",
    `p50 ${trips[250].toFixed(2)} ms, p99 ${trips[495].toFixed(2)} ms`,
  );
  host.close();
  client.close();
}

/** Makes events that an endpoint wants, and waits until all have arrived at its receiver. */
async function measureWebhooks(url, headers, makeEvent) {
  let arrived = 0;
  let all;
  const receiver = createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(204).end();
      if (++arrived === WEBHOOKS) all();
    });
  });
  await new Promise((listening) => receiver.listen(0, "127.0.0.1", listening));
  const done = new Promise((resolve) => {
    all = resolve;
  });
  try {
    const address = `http://127.0.0.1:${receiver.address().port}/`;
    await post(`${url}v1/webhooks/endpoints`, headers, {
      url: address,
      event_types: ["session.active"],
    });
    const startedAt = performance.now();
    for (let made = 0; made < WEBHOOKS; made += AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, WEBHOOKS - made) }, makeEvent));
    }
    await done;
    const seconds = (performance.now() - startedAt) / 1_000;
    print("webhooks", `${Math.round(WEBHOOKS / seconds)} /s`, "from a session to its receiver");
  } finally {
    receiver.close();
    receiver.closeAllConnections();
  }
}

function opened(socket) {
  return new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the websocket was refused"));
  });
}
