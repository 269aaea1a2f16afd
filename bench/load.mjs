/**
 * The part `load`: many sessions whose users talk, all of which end in the same second. Each frame has to come back,
 * each socket has to hear of the end, and each event has to arrive once. Also: what the process holds in memory.
 */
import { measureBroadcast } from "./broadcast.mjs";
import { connect } from "./counted-calls.mjs";
import { percentile } from "./figures.mjs";
import { Fixtures } from "./fixtures.mjs";
import { sideBySide, until } from "./http-client.mjs";
import { memoryMb } from "./processes.mjs";
import { Receiver } from "./receiver.mjs";
import { serve } from "./server.mjs";

const USERS = 4;
const FRAMES_A_SECOND = 5;
const FRAME_BYTES = 100;
const AT_ONCE = 16;
/** When this has passed, what is missing counts as lost. */
const TOLD_WITHIN_MS = 60_000;
/** Both events of each session have to arrive. */
const EVENTS = ["session.active", "session.expired"];

/**
 * @param plan how many `sessions`, for how many `seconds` they talk, and whether a host `broadcasts` for a minute
 *   after that
 */
export async function measureLoad(built, { sessions: count, seconds, broadcasts = false }) {
  const receiver = await Receiver.open();
  // With the limits of a deployment.
  const server = await serve(built);
  try {
    const fixtures = await Fixtures.make(server);
    const told = new Map();
    receiver.listen("events", (body) => {
      const { type, data } = JSON.parse(body);
      const key = `${type} ${data.id}`;
      told.set(key, (told.get(key) ?? 0) + 1);
    });
    await fixtures.newEndpoint(receiver.url("events"), EVENTS);
    const memory = { start: await memoryMb(server.pid) };
    const games = [];
    await sideBySide(count, AT_ONCE, async () => {
      const users = Array.from({ length: USERS }, () => ({ ip: "198.51.100.1" }));
      const session = await fixtures.createSession({ users });
      games.push(new Game(session, await connect(session)));
    });
    memory.connected = await memoryMb(server.pid);
    await talk(games, seconds);
    memory.talking = await memoryMb(server.pid);
    const startedAt = performance.now();
    await Promise.all(games.map(({ id }) => fixtures.call("DELETE", `v1/relays/sessions/${id}`)));
    const answeredMs = performance.now() - startedAt;
    await Promise.all(games.map((game) => game.closed));
    const wanted = games.flatMap(({ id }) => EVENTS.map((type) => `${type} ${id}`));
    await until(() => wanted.every((key) => told.has(key)), 50, TOLD_WITHIN_MS).catch(() => null);
    const toldMs = performance.now() - startedAt;
    memory.ended = await memoryMb(server.pid);
    const { total_count: listed } = await fixtures.call("GET", "v1/relays/sessions?limit=1");
    const trips = games.flatMap((game) => game.trips);
    const broadcast = broadcasts ? await measureBroadcast(await newBroadcast(fixtures)) : null;
    return {
      sessions: count,
      users: count * USERS,
      seconds,
      frames: sum(games, "sent"),
      lostFrames: sum(games, "sent") - sum(games, "back"),
      wrongFrames: sum(games, "wrong"),
      socketsNotToldOfTheEnd: count * USERS - sum(games, "ended"),
      eventsLost: wanted.filter((key) => !told.has(key)).length,
      eventsTwice: wanted.filter((key) => told.get(key) > 1).length,
      stillListed: listed,
      tripMs: { p50: percentile(trips, 0.5), p99: percentile(trips, 0.99) },
      endMs: { answered: answeredMs, told: toldMs },
      memory,
      broadcast,
    };
  } finally {
    receiver.close();
    await server.stop();
  }
}

/** A host, 32 clients, and one that does not read. */
function newBroadcast(fixtures) {
  const users = Array.from({ length: 34 }, () => ({ ip: "198.51.100.1" }));
  return fixtures.createSession({ users });
}

/** Everybody talks for so long. Then those frames that are under way come back. */
async function talk(games, seconds) {
  const startedAt = performance.now();
  for (let tick = 0; tick < seconds * FRAMES_A_SECOND; tick++) {
    const due = startedAt + (tick * 1_000) / FRAMES_A_SECOND;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    for (const game of games) game.say(tick);
  }
  const isBack = () => games.every(({ sent, back }) => sent === back);
  await until(isBack, 50, 30_000).catch(() => null);
}

/** A session with its sockets. The host sends each frame back to the client that it came from. */
class Game {
  sent = 0;
  back = 0;
  wrong = 0;
  ended = 0;
  trips = [];
  #clients;

  constructor(session, sockets) {
    this.id = session.session_id;
    const [host, ...clients] = sockets;
    this.#clients = clients;
    host.on("message", (frame, isBinary) => isBinary && host.send(frame));
    for (const client of clients) this.#expectInOrder(client);
    this.closed = Promise.all(
      sockets.map(
        (ws) =>
          new Promise((done) => {
            let isTold = false;
            ws.on("message", (data, isBinary) => {
              if (!isBinary && data.toString().includes('"ending"')) isTold = true;
            });
            ws.once("close", (code) => {
              if (isTold && code === 4410) this.ended += 1;
              done();
            });
          }),
      ),
    );
  }

  /** Each client sends its next frame: its number, and the time. */
  say(number) {
    for (const client of this.#clients) {
      const frame = Buffer.alloc(FRAME_BYTES);
      frame[0] = 2;
      frame.writeUInt32LE(number, 1);
      frame.writeDoubleLE(performance.now(), 5);
      client.send(frame);
      this.sent += 1;
    }
  }

  #expectInOrder(client) {
    let next = 0;
    client.on("message", (frame, isBinary) => {
      if (!isBinary) return;
      if (frame.length !== FRAME_BYTES || frame.readUInt32LE(1) !== next) this.wrong += 1;
      next += 1;
      this.back += 1;
      this.trips.push(performance.now() - frame.readDoubleLE(5));
    });
  }
}

function sum(games, what) {
  return games.reduce((all, game) => all + game[what], 0);
}
