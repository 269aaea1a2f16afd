/**
 * `npm run bench:relay-node`: what a relay node does on this machine beside a bare `dgram` forwarder
 * (`bench/relay-node-subject.ts`), over loopback. The two take turns, so that what else the machine does
 * meets both. Rates are per second of CPU time of the process itself: that is what a core of its own could
 * do. Compare runs on one machine.
 */
import { execFileSync, fork } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { bundleProgram } from "./bundled-program.mjs";
import { datagram, median, print, startDrawbridge, USERS } from "./relay-node-drawbridge.mjs";

const SESSIONS = 1_000;
const MEMORY_SESSIONS = 10_000;
const ROUNDS = 25;
const ROUND_MS = 500;
const LATENCIES = 3_000;
/** The generator's sockets. Users share them, since nothing tells users apart by their address. */
const SOCKETS = 16;
const { folder, file } = await bundleProgram("relay-node-subject.ts");
const children = [];
const drawbridges = [];
try {
  const bare = await startSubject("bare", String(SESSIONS));
  const node = await startSubject("node", await drawbridgeWith(SESSIONS));
  for (const size of [64, 1_200]) await compareRates(bare, node, size);
  await measureHostile(node);
  await compareMemory();
  await compareLatencies(bare, node);
} finally {
  for (const child of children) child.kill();
  for (const server of drawbridges) server.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit();

/** A subject whose users have all pinged once. */
async function startSubject(kind, argument, sessions = SESSIONS) {
  const child = fork(file, [kind, argument], { execArgv: ["--expose-gc"] });
  children.push(child);
  const [{ ports }] = await once(child, "message");
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, openSocket));
  const subject = { kind, child, ports, sockets, received: 0, onDatagram: () => {} };
  for (const socket of sockets) {
    socket.on("message", (bytes) => {
      subject.received += 1;
      subject.onDatagram(bytes);
    });
  }
  for (let s = 0; s < sessions; s++) {
    for (let n = 0; n < USERS; n++) {
      const port = n === 0 ? ports.server : ports.client;
      sockets[(s * USERS + n) % SOCKETS].send(
        datagram(s, n, 1, Buffer.alloc(0)),
        port,
        "127.0.0.1",
      );
    }
    if (s % 20 === 0) await new Promise((next) => setTimeout(next, 1));
  }
  return subject;
}

/** Half of the datagrams go from clients to hosts, half back, at as high a rate as the generator can. */
async function compareRates(bare, node, size) {
  const rates = { bare: [], node: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of round % 2 === 0 ? [bare, node] : [node, bare]) {
      rates[subject.kind].push(await measureRate(subject, size));
    }
  }
  const [a, b] = [median(rates.bare), median(rates.node)];
  // Of two turns that follow each other: what else the machine does changes more slowly.
  const ratio = median(rates.node.map((rate, round) => rate / rates.bare[round]));
  print(
    `${size} B, ${SESSIONS} sessions of ${USERS}`,
    `node ${Math.round(b)} /s, bare ${Math.round(a)} /s`,
    `ratio ${ratio.toFixed(2)}; ${(1e6 / b).toFixed(2)} and ${(1e6 / a).toFixed(2)} µs of CPU each`,
  );
}

async function measureRate(subject, size) {
  const { child, ports, sockets } = subject;
  const payload = Buffer.alloc(size);
  const toHosts = Array.from({ length: SESSIONS }, (_, s) => datagram(s, 1 + (s % 3), 2, payload));
  const toClients = Array.from({ length: SESSIONS }, (_, s) =>
    datagram(s, 0, 2, payload, 1 + (s % 3)),
  );
  const { forwarded, cpuMs } = await measure(child, (i) => {
    const s = i % SESSIONS;
    // From the sockets at which these users are known, so that no address changes.
    sockets[(s * USERS + 1 + (s % 3)) % SOCKETS].send(toHosts[s], ports.client, "127.0.0.1");
    sockets[(s * USERS) % SOCKETS].send(toClients[s], ports.server, "127.0.0.1");
  });
  return (forwarded / cpuMs) * 1_000;
}

/** What a datagram costs that is nobody's: a wrong user token with the token of a session, or nonsense. */
async function measureHostile({ child, ports, sockets }) {
  const hostile = Array.from({ length: SESSIONS }, (_, s) => {
    const wrong = [datagram(s, 1_000_000, 1, Buffer.alloc(0)), Buffer.alloc(20, s)];
    return wrong[s % 2];
  });
  const costs = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { received, cpuMs } = await measure(child, (i) => {
      sockets[i % SOCKETS].send(hostile[i % SESSIONS], ports.client, "127.0.0.1");
    });
    costs.push((cpuMs / received) * 1_000);
  }
  print("hostile datagrams", `node ${median(costs).toFixed(2)} µs of CPU each`, "");
}

/** What the process has done while the generator ran `send` as often as it could. */
async function measure(child, send) {
  const before = await read(child);
  const endsAt = performance.now() + ROUND_MS;
  let i = 0;
  while (performance.now() < endsAt) {
    for (let burst = 0; burst < 64; burst++) send(i++);
    await new Promise(setImmediate);
  }
  const after = await read(child);
  return {
    forwarded: after.forwarded - before.forwarded,
    received: after.received - before.received,
    cpuMs: after.cpuMs - before.cpuMs,
  };
}

/**
 * One datagram at a time, from a client to its host: the time until it has arrived. All run on one core:
 * waking another one takes longer than all else, and which process stays on which core is chance.
 */
async function compareLatencies(bare, node) {
  for (const { pid } of [process, bare.child, node.child]) {
    execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", "0", String(pid)], {
      stdio: "ignore",
    });
  }
  const latencies = { bare: [], node: [] };
  for (let i = 0; i < LATENCIES * 2; i++) {
    const subject = i % 2 === 0 ? bare : node;
    latencies[subject.kind].push(await latencyOf(subject, i % SESSIONS));
  }
  const p50 = { bare: median(latencies.bare), node: median(latencies.node) };
  print(
    "client to host, one at a time",
    `p50: node ${p50.node.toFixed(0)} µs, bare ${p50.bare.toFixed(0)} µs`,
    `ratio ${(p50.node / p50.bare).toFixed(2)}`,
  );
}

async function latencyOf(subject, s) {
  const from = performance.now();
  const arrived = new Promise((resolve) => {
    subject.onDatagram = resolve;
  });
  const socket = subject.sockets[(s * USERS + 1) % SOCKETS];
  socket.send(datagram(s, 1, 2, Buffer.alloc(64)), subject.ports.client, "127.0.0.1");
  const lost = setTimeout(() => subject.onDatagram(), 200);
  await arrived;
  clearTimeout(lost);
  subject.onDatagram = () => {};
  return (performance.now() - from) * 1_000;
}

async function compareMemory() {
  const figures = {};
  for (const kind of ["bare", "node"]) {
    const argument =
      kind === "bare" ? String(MEMORY_SESSIONS) : await drawbridgeWith(MEMORY_SESSIONS);
    const subject = await startSubject(kind, argument, MEMORY_SESSIONS);
    const { bytes } = await read(subject.child);
    figures[kind] = bytes / MEMORY_SESSIONS;
    subject.child.kill();
    for (const socket of subject.sockets) socket.close();
  }
  print(
    `memory, ${MEMORY_SESSIONS} sessions of ${USERS}`,
    `node ${(figures.node / 1_024).toFixed(2)} KB, bare ${(figures.bare / 1_024).toFixed(2)} KB`,
    "of live objects, for each session",
  );
}

async function openSocket() {
  const socket = createSocket({
    type: "udp4",
    recvBufferSize: 4_194_304,
    lookup: (address, _options, found) => found(null, address, 4),
  });
  const listening = once(socket, "listening");
  socket.bind(0, "127.0.0.1");
  await listening;
  return socket;
}

async function read(child) {
  child.send("read");
  const [figures] = await once(child, "message");
  return figures;
}

/** @returns its URL */
async function drawbridgeWith(sessions) {
  const drawbridge = await startDrawbridge(sessions);
  drawbridges.push(drawbridge);
  return drawbridge.url;
}
