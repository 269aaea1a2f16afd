/**
 * The worker processes of a relay node with `--workers`, as the process with the link has them. It knows
 * what they know (sessions, and where each user is), tells all of them each change, starts those anew that
 * end, and adds up what they count. It forwards no datagram itself.
 */
import type { BudgetLimits } from "../src/relay/budget";
import type {
  AssignedSession,
  LinkPermissions,
  UserFigures,
} from "../src/relay-nodes/link-protocol";
import { Carrier, type CarrierPorts } from "./carrier";
import { CLOCK_START, monotonicNow } from "./clock";
import type { Role } from "./datagram";
import type { EventLoopFigures } from "./event-loop";
import { UNHEARD_MS } from "./heard-users";
import type { Log } from "./log";
import { ASK_AGAIN_MS } from "./permissions";
import type { NodeSession } from "./session-table";
import type { TrunkFrame } from "./trunk";
import { findFreePorts } from "./udp-ports";
import { WorkerCounts } from "./worker-counts";
import { changeOf, type FromWorker, type ToWorker, type UserChange } from "./worker-messages";
import { WorkerProcess } from "./worker-process";
import { allThatIsKnown, sumOfFigures } from "./worker-state";

/** The number of the process that hears nobody itself. */
const PARENT = -2;
/** A worker that ends is started again, if not so many have ended in so many milliseconds. */
const MAX_ENDS = 5;
const ENDS_COUNT_MS = 60_000;
/** A worker that has not reported for so many seconds hangs, and is killed. */
const MAX_SECONDS_WITHOUT_REPORT = 5;

export interface WorkersOptions {
  /** How many. */
  count: number;
  /** The file that runs as a worker. */
  program: string;
  bind: string;
  /** UDP ports; 0: any free one. */
  serverPort: number;
  clientPort: number;
  log: Log;
  /** Workers end again and again. */
  failed(reason: string): void;
}

export class Workers extends Carrier {
  readonly #options: WorkersOptions;
  readonly #carrierPorts: CarrierPorts;
  #portNumbers: Record<Role, number> = { server: 0, client: 0 };
  readonly #workers = new Set<WorkerProcess>();
  /** Those whose ports are open. */
  readonly #ready = new Set<WorkerProcess>();
  /** Settles when all were ready once, or the first has ended before. */
  readonly #opened = Promise.withResolvers<void>();
  #isOpen = false;
  #started = 0;
  /** When workers have ended, in the last minute. */
  #endedAt: number[] = [];
  #closed = false;
  #limits: BudgetLimits | null = null;
  readonly #workerCounts = new WorkerCounts(this.counts);

  constructor(ports: CarrierPorts, options: WorkersOptions) {
    super(ports, { me: PARENT, of: options.count });
    this.#carrierPorts = ports;
    this.#options = options;
  }

  /** Starts the workers; gives the ports. Rejects when they cannot be bound. */
  async open(): Promise<Record<Role, number>> {
    const { bind, serverPort, clientPort, count } = this.#options;
    this.#portNumbers = await findFreePorts({ bind, serverPort, clientPort });
    for (let i = 0; i < count; i++) this.#start();
    try {
      await this.#opened.promise;
    } catch (error) {
      this.close();
      throw error;
    }
    this.#isOpen = true;
    return this.#portNumbers;
  }

  override get workers(): number {
    return this.#ready.size;
  }

  override takeBusiest(): EventLoopFigures {
    return this.#workerCounts.takeBusiest();
  }

  override setLimits(limits: BudgetLimits): void {
    this.#limits = limits;
    this.#sendAll({ type: "limits", limits });
  }

  override assign(session: AssignedSession, at: number): boolean {
    if (!super.assign(session, at)) return false;
    this.#sendAll({ type: "assign", session, at, passUntil: null });
    return true;
  }

  override end(id: string): void {
    this.#sendAll({ type: "end", id });
    super.end(id);
  }

  override setPermissions(id: string, permissions: LinkPermissions, at: number): boolean {
    this.#sendAll({ type: "permissions", id, permissions, at });
    return super.setPermissions(id, permissions, at);
  }

  override setUsersOnWebsockets(
    session: NodeSession,
    before: ReadonlySet<number>,
    users: ReadonlySet<number> | null,
    at: number,
  ): void {
    this.#sendAll({ type: "trunk", id: session.id, users, at });
    super.setUsersOnWebsockets(session, before, users, at);
  }

  override newLink(passUntil: number): void {
    this.#sendAll({ type: "new-link", passUntil });
    super.newLink(passUntil);
  }

  override heardDrawbridge(passUntil: number): void {
    this.#sendAll({ type: "heard", passUntil });
    super.heardDrawbridge(passUntil);
  }

  override linkLost(): void {
    this.#sendAll({ type: "link-lost" });
    super.linkLost();
  }

  /** Any worker could send it. The one that hears the receiver also counts what else it gets. */
  override receiveFromTrunk(session: NodeSession, frame: TrunkFrame): void {
    const heardBy = session.user(frame.to)?.heardBy;
    const all = [...this.#workers];
    const worker = all.find(({ me }) => me === heardBy) ?? all[0];
    if (!worker?.sendFrame(session.id, frame))
      this.#workerCounts.others.dropped["socket-full"] += 1;
  }

  override whenDone(then: () => void): void {
    this.#askAll(null, then);
  }

  override askFigures(id: string, then: (figures: UserFigures[] | null) => void): void {
    const known = this.figuresOf(id);
    this.#askAll(id, (all) => then(known && sumOfFigures(known, all)));
  }

  override tick(now: number): void {
    super.tick(now);
    for (const worker of this.#workers) {
      worker.looksWithoutReport += 1;
      if (worker.looksWithoutReport > MAX_SECONDS_WITHOUT_REPORT) worker.kill();
    }
  }

  override close(): void {
    this.#closed = true;
    for (const worker of this.#workers) worker.kill();
  }

  /** Starts a worker, and tells it all that is known here. */
  #start(): void {
    const { program, bind, count } = this.#options;
    const worker = new WorkerProcess(
      program,
      {
        type: "setup",
        me: this.#started++,
        workers: count,
        clockStart: CLOCK_START,
        bind,
        ports: this.#portNumbers,
      },
      {
        received: (from, message) => this.#receive(from, message),
        ended: (from, reason) => this.#ended(from, reason),
      },
    );
    this.#workers.add(worker);
    for (const message of allThatIsKnown(this, this.#limits, monotonicNow())) worker.send(message);
    worker.send({ type: "open" });
  }

  #receive(from: WorkerProcess, message: FromWorker): void {
    switch (message.type) {
      case "open":
        this.#options.log.info("a worker is ready", { worker: from.me, pid: from.pid });
        this.#ready.add(from);
        if (this.#ready.size === this.#options.count) this.#opened.resolve();
        return;
      case "users":
        this.#learn(from, message.changes);
        return;
      case "frame": {
        const { from: n, to, payload } = message.frame;
        const trunk = this.table.get(message.id)?.trunk;
        if (!trunk?.send(n, to, payload)) this.#workerCounts.others.dropped["socket-full"] += 1;
        return;
      }
      case "permissions":
        this.#askPermissions(message.id);
        return;
      case "report":
        this.#workerCounts.reported(
          message.report,
          [...this.#workers].map(({ report }) => report).filter((report) => report !== null),
        );
    }
  }

  #learn(from: WorkerProcess, changes: readonly UserChange[]): void {
    const news = changes.filter((change) => {
      const user = this.table.get(change.id)?.user(change.n);
      return user !== undefined && this.presence.learn(user, change);
    });
    if (news.length === 0) return;
    for (const worker of this.#workers) {
      if (worker !== from) worker.send({ type: "users", changes: news });
    }
  }

  #askPermissions(id: string): void {
    const session = this.table.get(id);
    const now = monotonicNow();
    if (!session || now - session.permissionsAskedAt < ASK_AGAIN_MS) return;
    session.permissionsAskedAt = now;
    this.#carrierPorts.askPermissions(session);
  }

  #ended(worker: WorkerProcess, reason: string): void {
    this.#workers.delete(worker);
    this.#ready.delete(worker);
    if (worker.report) this.#workerCounts.others.add(worker.report.counts);
    this.#opened.reject(new Error(reason));
    if (this.#closed || !this.#isOpen) return;
    const { me, pid } = worker;
    this.#options.log.error("a worker has ended", { worker: me, pid, reason });
    this.#letGoLater(me);
    const now = monotonicNow();
    this.#endedAt = [...this.#endedAt.filter((at) => now - at < ENDS_COUNT_MS), now];
    if (this.#endedAt.length > MAX_ENDS) {
      this.#options.failed(`worker processes end again and again: ${reason}`);
      return;
    }
    this.#start();
  }

  /** Those whom only this worker has heard are disconnected in ten seconds, if no other hears them. */
  #letGoLater(heardBy: number): void {
    const heard = [...this.table.all()]
      .flatMap(({ users }) => users)
      .filter((user) => user.connected && user.heardBy === heardBy)
      .map((user) => ({ user, at: user.heardAt }));
    setTimeout(() => {
      for (const { user, at } of heard) {
        const isStill = user.heardBy === heardBy && user.heardAt === at && user.connected;
        if (!isStill) continue;
        this.presence.letGo(user);
        this.#sendAll({ type: "users", changes: [changeOf(user)] });
      }
    }, UNHEARD_MS).unref();
  }

  #askAll(figuresOf: string | null, then: (all: UserFigures[][]) => void): void {
    const all: UserFigures[][] = [];
    let waiting = this.#workers.size;
    if (waiting === 0) then(all);
    for (const worker of this.#workers) {
      worker.ask(figuresOf, (figures) => {
        if (figures) all.push(figures);
        waiting -= 1;
        if (waiting === 0) then(all);
      });
    }
  }

  #sendAll(message: ToWorker): void {
    for (const worker of this.#workers) worker.send(message);
  }
}
