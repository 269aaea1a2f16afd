/**
 * What `bench/relay-node.mjs` measures, in a process of its own: a relay node, or a bare forwarder. The
 * bare one has two sockets and one table, and no checks: no roles, limits, permissions, states or counts.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createLog } from "../relay-node/log";
import { RelayNode } from "../relay-node/relay-node";

/** The tokens of the session with this number, and of its user `n`. */
const sessionToken = (s: number) => 1_000_000 + s;
const userToken = (s: number, n: number) => 2_000_000 + s * 4 + n;

interface Subject {
  ports: { server: number; client: number };
  forwarded(): number;
  received(): number;
}

async function startBare(sessions: number): Promise<Subject> {
  interface User {
    n: number;
    session: User[];
    address: string;
    port: number;
  }
  const users = new Map<number, User>();
  for (let s = 0; s < sessions; s++) {
    const session: User[] = [];
    for (let n = 0; n < 4; n++) {
      const user = { n, session, address: "", port: 0 };
      session.push(user);
      users.set(userToken(s, n), user);
    }
  }
  let forwarded = 0;
  let received = 0;
  const open = async () => {
    const size = 4 * 1_024 * 1_024;
    const socket = createSocket({
      type: "udp4",
      recvBufferSize: size,
      sendBufferSize: size,
      // As in the node: without it each send would look up its address first, and the bare one would be slower.
      lookup: (address, _options, found) => found(null, address, 4),
    });
    const listening = once(socket, "listening");
    socket.bind(0, "127.0.0.1");
    await listening;
    return socket;
  };
  const server: Socket = await open();
  const client: Socket = await open();
  server.on("message", (bytes, from) => {
    received += 1;
    const user = users.get(bytes.readInt32LE(0));
    if (!user) return;
    user.address = from.address;
    user.port = from.port;
    if (bytes[8] !== 2) return;
    const to = user.session[bytes.readInt32LE(9)];
    if (!to) return;
    bytes[12] = 2;
    client.send(bytes, 12, bytes.length - 12, to.port, to.address);
    forwarded += 1;
  });
  client.on("message", (bytes, from) => {
    received += 1;
    const user = users.get(bytes.readInt32LE(0));
    if (!user) return;
    user.address = from.address;
    user.port = from.port;
    const to = user.session[0];
    if (bytes[8] !== 2 || !to) return;
    bytes[4] = 2;
    bytes.writeInt32LE(user.n, 5);
    server.send(bytes, 4, bytes.length - 4, to.port, to.address);
    forwarded += 1;
  });
  return {
    ports: { server: server.address().port, client: client.address().port },
    forwarded: () => forwarded,
    received: () => received,
  };
}

async function startNode(url: string): Promise<Subject> {
  const node = await RelayNode.start({
    url: new URL(url),
    token: "drbn_bench",
    host: "127.0.0.1",
    ip: "127.0.0.1",
    bind: "127.0.0.1",
    serverPort: 0,
    clientPort: 0,
    capacity: null,
    drainMs: 0,
    workers: 1,
    program: "",
    version: "bench",
    log: createLog(() => {}),
  });
  while (!node.forwarder.knowsAllSessions) await new Promise((next) => setTimeout(next, 20));
  const { counts } = node.forwarder;
  return {
    ports: node.ports,
    forwarded: () => counts.datagramsOut,
    received: () => counts.datagramsIn,
  };
}

const [kind, argument = ""] = process.argv.slice(2);
const before = settledMemory();
const subject = kind === "bare" ? await startBare(Number(argument)) : await startNode(argument);
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({
    cpuMs: (user + system) / 1_000,
    forwarded: subject.forwarded(),
    received: subject.received(),
    bytes: settledMemory() - before,
  });
});
process.on("disconnect", () => process.exit());
process.send?.({ ports: subject.ports, sessionToken: sessionToken(0), userToken: userToken(0, 0) });

/** Bytes of live objects. */
function settledMemory(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}
