/**
 * One thing of the part `load`: a host that broadcasts 20 times a second for a minute, within the default limits, to
 * 32 clients and one more that never reads. Says how late frames came, and what became of the slow reader.
 */
import { WebSocket as WS } from "ws";

const HZ = 20;
const SECONDS = 60;
const CLIENTS = 32;
/** As much as the host's own limit lets through for 32 clients and the one that does not read. */
const FRAME_BYTES = 12_000;

/** @param session a relay session of 34 users, as its create has answered it */
export async function measureBroadcast(session) {
  const sockets = session.session_users.map((user) => open(session, user));
  await Promise.all(sockets.map(ready));
  const [host, slow, ...clients] = sockets;
  let slowClosed = "still open";
  // It takes nothing from its connection any more.
  slow._socket.pause();
  host.on("message", (data) => {
    if (data.toString().includes('"peer_left"'))
      slowClosed = `closed after ${seconds(startedAt)} s`;
  });
  const late = [];
  for (const client of clients) {
    client.on("message", (data, isBinary) => {
      if (isBinary) late.push(performance.now() - data.readDoubleLE(1));
    });
  }
  const pings = setInterval(() => {
    for (const socket of [host, ...clients]) socket.send("ping");
  }, 5_000);
  const startedAt = performance.now();
  for (let tick = 0; tick < HZ * SECONDS; tick++) {
    const wait = startedAt + (tick * 1_000) / HZ - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const frame = Buffer.alloc(FRAME_BYTES);
    frame[0] = 3;
    frame.writeDoubleLE(performance.now(), 1);
    host.send(frame);
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  clearInterval(pings);
  const open32 = [host, ...clients].every((socket) => socket.readyState === WS.OPEN);
  for (const socket of sockets) socket.terminate();
  late.sort((a, b) => a - b);
  const at = (part) => late[Math.floor((late.length - 1) * part)].toFixed(1);
  const expected = CLIENTS * HZ * SECONDS;
  return {
    name: `a host that broadcasts ${HZ} times a second for ${SECONDS} s, to ${CLIENTS} clients and one that does not read`,
    text: `${late.length} of ${expected} frames: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, last ${at(1)} ms; ${open32 ? "all open" : "SOME CLOSED"}; the slow reader ${slowClosed}`,
  };
}

function open(session, user) {
  const tokens = `tokens.${session.authorization_token}.${user.authorization_token}`;
  return new WS(session.relay.ports.client.link, ["drawbridge.v1", tokens]);
}

function ready(socket) {
  return new Promise((resolve, reject) => {
    socket.once("message", resolve);
    socket.once("close", (code) => reject(new Error(`the websocket was closed with ${code}`)));
  });
}

function seconds(since) {
  return Math.round((performance.now() - since) / 1_000);
}
