/**
 * One player in one game: what they send, and, if they are the host, the world that they keep for all. A
 * client sends `{name, x, y}` to the host. The host broadcasts the world. Each copy of the world is whole, so
 * whoever becomes the host goes on with the one that came last.
 */
import { direction } from "./controls.js";
import { inField, newWorld, place, SPEED, somewhere } from "./world.js";

const EVERY_MS = 50;
/** Also when nothing moves: so that whoever comes (back) soon sees the others. */
const AT_LEAST_EVERY_MS = 1_000;
/** Nobody is shown as away for a cut that is over at once. */
const AWAY_AFTER_MS = 1_500;
const FORGOTTEN_AFTER_MS = 30_000;

export class Match {
  /** @type {import("./world.js").World | null} null: no copy has come yet */
  world = null;
  /** Since when those are gone whose connection is gone: connection id → milliseconds. The host's. */
  #gone = new Map();
  #sent = "";
  #sentAt = 0;
  #timer = 0;

  /**
   * @param {any} connection a RelayConnection with `codec: "json"`
   * @param {object} player
   * @param {string} player.name
   * @param {string} player.code the join code
   * @param {{ x: number, y: number }} [player.me] where they are
   * @param {import("./world.js").World | null} [player.world] what they knew before the page was loaded anew
   * @param {(text: string) => void} player.say tells the player what has happened
   */
  constructor(connection, { name, code, me = somewhere(), world = null, say }) {
    this.connection = connection;
    this.name = name;
    this.code = code;
    this.me = me;
    this.world = world;
    this.say = say;
    if (connection.isHost) this.#keepWorld();
    const on = (type, listener) => connection.addEventListener(type, listener);
    on("message", ({ data, from }) => {
      if (connection.isHost) this.#heard(from, data);
      else this.world = data;
    });
    on("peerjoined", ({ connectionId }) => this.#gone.delete(connectionId));
    on("peerleft", ({ connectionId }) => this.#gone.set(connectionId, performance.now()));
    on("promoted", () => {
      this.#keepWorld();
      say("You are the host now.");
    });
    on("hostchanged", ({ connectionId }) => {
      if (connectionId === null || !this.world) return;
      this.world.host = connectionId;
      say(`${this.world.players[connectionId]?.name ?? "Another player"} is the host now.`);
    });
    on("reconnected", ({ awayMs }) => say(`You are back, after ${Math.ceil(awayMs / 1_000)} s.`));
    on("closed", () => clearInterval(this.#timer));
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
  }

  /** This player's connection id. */
  get id() {
    return this.connection.connectionId;
  }

  /** Moves this player for so many seconds. */
  move(seconds) {
    const { x, y } = direction(this.me);
    const step = SPEED * seconds;
    this.me = inField({ x: this.me.x + x * step, y: this.me.y + y * step });
  }

  /** Leaves for good. The others see it at once. */
  leave() {
    const { connection, world, id } = this;
    if (connection.state === "open") {
      if (!connection.isHost) connection.send({ leaving: true });
      else if (world) {
        delete world.players[id];
        connection.broadcast(world);
      }
    }
    connection.close();
  }

  /** This player keeps the world from now on: a new one, or the copy that came last. */
  #keepWorld() {
    this.world ??= newWorld(this.id);
    this.world.host = this.id;
    this.#gone.clear();
    for (const id of Object.keys(this.world.players).map(Number)) {
      const isHere = id === this.id || this.connection.peers.has(id);
      if (!isHere) this.#gone.set(id, performance.now());
    }
  }

  /** A client has said something to this host. */
  #heard(id, said) {
    this.#gone.delete(id);
    if (said?.leaving) delete this.world.players[id];
    else place(this.world, id, said);
    // Not only by the timer: browsers slow down the timers of a page that nobody sees.
    if (performance.now() - this.#sentAt > EVERY_MS) this.#tick();
  }

  #tick() {
    if (this.connection.state !== "open") return;
    const me = { name: this.name, x: Math.round(this.me.x), y: Math.round(this.me.y) };
    if (!this.connection.isHost) return this.#share(me, (message) => this.connection.send(message));
    place(this.world, this.id, me);
    this.#lookForGone();
    this.#share(this.world, (message) => this.connection.broadcast(message));
  }

  #share(message, send) {
    const text = JSON.stringify(message);
    const now = performance.now();
    if (text === this.#sent && now - this.#sentAt < AT_LEAST_EVERY_MS) return;
    this.#sent = text;
    this.#sentAt = now;
    send(message);
  }

  #lookForGone() {
    const now = performance.now();
    for (const [id, since] of this.#gone) {
      const player = this.world.players[id];
      if (player) player.away = now - since > AWAY_AFTER_MS;
      if (now - since < FORGOTTEN_AFTER_MS) continue;
      delete this.world.players[id];
      this.#gone.delete(id);
    }
  }
}
