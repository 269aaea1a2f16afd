/**
 * A worker process of a relay node with `--workers`: it forwards the datagrams that the kernel gives it, and
 * knows all sessions. It has no link to Drawbridge: its parent (`workers.ts`) says what Drawbridge says, and
 * what the other workers hear. Any worker can send to anybody, because all of them have the same two ports;
 * so a datagram is never handed from one to another.
 */
import { monotonicNow, useClockOf } from "./clock";
import { measureEventLoop } from "./event-loop";
import { Forwarder } from "./forwarder";
import type { NodeUser } from "./session-table";
import type { TrunkFrame } from "./trunk";
import { UdpPorts } from "./udp-ports";
import { WaitingBytes } from "./waiting-bytes";
import {
  changeOf,
  type FromWorker,
  type ToWorker,
  type UserChange,
  type WorkerSetup,
} from "./worker-messages";

const TICK_MS = 1_000;
const NOBODY: ReadonlySet<number> = new Set();

/** Does what the parent says, until it is gone. */
export function runWorker(): void {
  // A terminal sends these to all processes. The parent says when it is over.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
  // Without a parent nobody would tell it of a revocation, and it would keep a part of the ports' datagrams.
  process.once("disconnect", () => process.exit());
  process.once("message", (setup: WorkerSetup) => {
    const worker = new Worker(setup);
    process.on("message", (message: ToWorker) => worker.receive(message));
  });
}

class Worker {
  readonly #setup: WorkerSetup;
  readonly #forwarder: Forwarder;
  readonly #waiting = new WaitingBytes();
  /** Users of whom the others do not know yet where they are. */
  readonly #changed = new Set<NodeUser>();
  #ports: UdpPorts | null = null;

  constructor(setup: WorkerSetup) {
    this.#setup = setup;
    useClockOf(setup.clockStart);
    this.#forwarder = new Forwarder(
      {
        send: (role, bytes, start, to) => this.#ports?.send(role, bytes, start, to) ?? false,
        // The parent has the trunks, and says when a session is silent.
        presenceChanged: () => {},
        silent: () => {},
        askPermissions: ({ id }) => say({ type: "permissions", id }),
        userChanged: (user) => this.#tell(user),
      },
      { me: setup.me, of: setup.workers },
    );
    setInterval(() => this.#forwarder.tick(monotonicNow()), TICK_MS);
    const eventLoop = measureEventLoop();
    setInterval(() => {
      say({ type: "report", report: { counts: this.#forwarder.counts, ...eventLoop.read() } });
    }, TICK_MS);
  }

  receive(message: ToWorker): void {
    const forwarder = this.#forwarder;
    switch (message.type) {
      case "limits":
        forwarder.setLimits(message.limits);
        return;
      case "new-link":
        forwarder.newLink(message.passUntil);
        return;
      case "heard":
        forwarder.heardDrawbridge(message.passUntil);
        return;
      case "link-lost":
        forwarder.linkLost();
        return;
      case "assign": {
        forwarder.assign(message.session, message.at);
        const session = forwarder.table.get(message.session.id);
        if (session) session.passUntil = message.passUntil;
        return;
      }
      case "end":
        forwarder.end(message.id);
        return;
      case "permissions":
        forwarder.setPermissions(message.id, message.permissions, message.at);
        return;
      case "trunk":
        this.#setTrunk(message.id, message.users, message.at);
        return;
      case "users":
        for (const change of message.changes) this.#learn(change);
        return;
      case "frame": {
        const session = forwarder.table.get(message.id);
        if (session) forwarder.receiveFromTrunk(session, message.frame, monotonicNow());
        return;
      }
      case "open":
        void this.#open();
        return;
      case "ask":
        if (message.figuresOf === null) say({ type: "answer", figures: null });
        else forwarder.askFigures(message.figuresOf, (figures) => say({ type: "answer", figures }));
    }
  }

  async #open(): Promise<void> {
    const { bind, ports } = this.#setup;
    try {
      this.#ports = await UdpPorts.open({
        bind,
        serverPort: ports.server,
        clientPort: ports.client,
        shared: true,
        receive: (role, bytes, from) => this.#forwarder.receive(role, bytes, from, monotonicNow()),
        failed: ({ message }) => fail(`a socket failed: ${message}`),
      });
      say({ type: "open" });
    } catch (error) {
      fail((error as Error).message);
    }
  }

  #setTrunk(id: string, users: ReadonlySet<number> | null, at: number): void {
    const session = this.#forwarder.table.get(id);
    if (!session) return;
    const before = session.trunk?.users ?? NOBODY;
    session.trunk = users && {
      users,
      send: (from, to, payload) => this.#sendFrame(id, { from, to, payload }),
    };
    this.#forwarder.setUsersOnWebsockets(session, before, users, at);
  }

  #sendFrame(id: string, frame: TrunkFrame): boolean {
    const sent = this.#waiting.add(frame.payload.length);
    if (sent) say({ type: "frame", id, frame }, sent);
    return sent !== null;
  }

  #learn(change: UserChange): void {
    const user = this.#forwarder.table.get(change.id)?.user(change.n);
    if (user) this.#forwarder.presence.learn(user, change);
  }

  /** Tells the others of a user, together with all others of this turn of the event loop. */
  #tell(user: NodeUser): void {
    if (this.#changed.size === 0) {
      setImmediate(() => {
        say({ type: "users", changes: [...this.#changed].map(changeOf) });
        this.#changed.clear();
      });
    }
    this.#changed.add(user);
  }
}

/** @param sent called when it has left this process */
function say(message: FromWorker, sent = () => {}): void {
  process.send?.(message, undefined, undefined, sent);
}

function fail(message: string): void {
  say({ type: "failed", message }, () => process.exit(1));
}
