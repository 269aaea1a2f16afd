/** A worker of a relay node, as its parent has it: the process, what it is asked, and what it reported. */
import { type ChildProcess, fork } from "node:child_process";
import type { UserFigures } from "../src/relay-nodes/link-protocol";
import type { TrunkFrame } from "./trunk";
import { WaitingBytes } from "./waiting-bytes";
import {
  type FromWorker,
  type ToWorker,
  WORKER_ARGUMENT,
  type WorkerReport,
  type WorkerSetup,
} from "./worker-messages";

export interface WorkerEvents {
  received(worker: WorkerProcess, message: FromWorker): void;
  /** The process is gone, for this reason. Said once; nothing is received from it afterwards. */
  ended(worker: WorkerProcess, reason: string): void;
}

export class WorkerProcess {
  /** Its number among all that the node had. */
  readonly me: number;
  /** Of the last second; null: it was just started. */
  report: WorkerReport | null = null;
  /** How many looks at it have found no new report. */
  looksWithoutReport = 0;
  readonly #child: ChildProcess;
  readonly #events: WorkerEvents;
  readonly #waiting = new WaitingBytes();
  /** Those who wait for an answer, oldest first. */
  readonly #asking: ((figures: UserFigures[] | null) => void)[] = [];
  #failure: string | null = null;
  #ended = false;

  /** `program`: the file that runs as a worker with `WORKER_ARGUMENT`. */
  constructor(program: string, setup: WorkerSetup, events: WorkerEvents) {
    this.me = setup.me;
    this.#events = events;
    // It needs no token, and so has none.
    const { RELAY_NODE_TOKEN: _, ...env } = process.env;
    this.#child = fork(program, [WORKER_ARGUMENT], {
      env: env as NodeJS.ProcessEnv,
      execArgv: [],
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message) => this.#receive(message as FromWorker));
    this.#child.on("error", ({ message }) => this.#end(message));
    this.#child.on("exit", (code, signal) => this.#end(signal ?? `exit code ${code}`));
    this.send(setup);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends a message, unless the process is gone. */
  send(message: ToWorker, sent = () => {}): void {
    if (this.#child.connected) this.#child.send(message, sent);
  }

  /** Sends a frame of somebody on a websocket; false: too much waits, or the process is gone. */
  sendFrame(id: string, frame: TrunkFrame): boolean {
    const sent = this.#child.connected ? this.#waiting.add(frame.payload.length) : null;
    if (sent) this.send({ type: "frame", id, frame }, sent);
    return sent !== null;
  }

  /** Calls `then` when the worker has done all that it was told before, or is gone. */
  ask(figuresOf: string | null, then: (figures: UserFigures[] | null) => void): void {
    if (this.#ended) {
      then(null);
      return;
    }
    this.#asking.push(then);
    this.send({ type: "ask", figuresOf });
  }

  /** Ends the process at once: there is nothing in it that would have to be kept. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #receive(message: FromWorker): void {
    if (this.#ended) return;
    switch (message.type) {
      case "answer":
        this.#asking.shift()?.(message.figures);
        return;
      case "report":
        this.report = message.report;
        this.looksWithoutReport = 0;
        break;
      case "failed":
        this.#failure = message.message;
    }
    this.#events.received(this, message);
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(this, this.#failure ?? reason);
    for (const then of this.#asking.splice(0)) then(null);
  }
}
