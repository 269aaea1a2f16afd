/**
 * Echoes through a relay: a client sends a frame to the host, which sends it back. That is two frames that the
 * relay passes on. The same bytes go through Drawbridge, a relay by hand, and one of partyserver.
 */
import { WebSocket } from "ws";
import { PAIR } from "./fixtures.mjs";
import { send } from "./http-client.mjs";

const PAIRS = 4;
/** Echoes of a pair that are under way at a time. */
const IN_FLIGHT = 4;

/** The relays that are compared: each gives the addresses of the host and the client of a new session. */
export const RELAYS = {
  drawbridge: async (server, headers) => {
    const url = `${server.url}v1/relays/sessions`;
    const session = await send({ method: "POST", url, headers, body: PAIR });
    return session.session_users.map((user, i) => {
      const side = i === 0 ? "server" : "client";
      const tokens = `session_token=${session.authorization_token}&user_token=${user.authorization_token}`;
      return `${url.replace("http", "ws")}/${session.session_id}/${side}?${tokens}`;
    });
  },
  relay: ({ url }) => [0, 1].map((id) => `${url.replace("http", "ws")}relay/${newRoom()}/${id}`),
  party: ({ url }) => [0, 1].map((id) => `${url.replace("http", "ws")}party/${newRoom()}/${id}`),
};

let rooms = 0;
function newRoom() {
  return `room-${Math.floor(rooms++ / 2)}`;
}

/** A runner (see `compare`) for a relay, with its pairs connected. `close` ends them. */
export async function openEchoes(server, addresses, payloadBytes, headers) {
  const pairs = [];
  for (let i = 0; i < PAIRS; i++) {
    const [host, client] = [...(await addresses(server, headers))].map(
      (url) => new WebSocket(url, { perMessageDeflate: false }),
    );
    await Promise.all([ready(host), ready(client)]);
    // The frame has the client's id, so that it goes back as it is.
    host.on("message", (frame, isBinary) => {
      if (isBinary) host.send(frame);
    });
    pairs.push({ host, client });
  }
  const frame = Buffer.alloc(1 + payloadBytes, 7);
  frame[0] = 2;
  return {
    pid: server.pid,
    run: (_first, count) =>
      Promise.all(pairs.map(({ client }) => echo(client, frame, Math.ceil(count / PAIRS)))),
    close() {
      for (const { host, client } of pairs) for (const socket of [host, client]) socket.terminate();
    },
  };
}

/** Sends a frame so many times, and waits until each has come back whole. */
function echo(client, frame, count) {
  return new Promise((resolve, reject) => {
    let [sent, back] = [0, 0];
    const done = (problem) => {
      client.off("message", take).off("close", lost);
      if (problem) reject(new Error(problem));
      else resolve();
    };
    const lost = (code) => done(`the websocket was closed with ${code}`);
    const take = (echoed, isBinary) => {
      if (!isBinary) return;
      if (!frame.equals(echoed)) return done("another frame came back");
      if (++back === count) return done();
      if (sent++ < count) client.send(frame);
    };
    client.on("message", take).on("close", lost);
    for (; sent < Math.min(IN_FLIGHT, count); sent++) client.send(frame);
  });
}

function ready(socket) {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.on("message", function first(data, isBinary) {
      if (isBinary || !data.toString().includes('"ready"')) return;
      socket.off("message", first);
      resolve();
    });
  });
}
