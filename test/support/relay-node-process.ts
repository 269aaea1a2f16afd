/** The relay node as people run it: the single file, in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { buildRelayNode, RELAY_NODE } from "../../scripts/build-relay-node.mjs";
import { nodePath } from "../../scripts/setup.mjs";
import { eventually } from "./eventually";

export class RelayNodeProcess {
  /** The lines of its log, oldest first. */
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  readonly lines: any[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, "exit").then(([code]) => code);
    if (child.stdout) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        this.lines.push(JSON.parse(line));
      });
    }
  }

  /** Makes the file that `start` runs. */
  static build(): Promise<void> {
    return buildRelayNode();
  }

  /** `file`: a copy of the single file. */
  static start(
    { origin, token }: { origin: string; token: string },
    options: readonly string[] = ["--server-port", "0", "--client-port", "0"],
    file = RELAY_NODE,
  ): RelayNodeProcess {
    const args = ["--url", origin, "--host", "127.0.0.1", ...options];
    const child = spawn(nodePath(), [file, ...args], {
      env: { RELAY_NODE_TOKEN: token } as unknown as NodeJS.ProcessEnv,
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new RelayNodeProcess(child);
  }

  /** The first line with this message, once it is there. */
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  logged(message: string): Promise<any> {
    return eventually(() => {
      const found = this.lines.find((line) => line.message === message);
      if (!found) throw new Error(`the node has not logged "${message}"`);
      return found;
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The exit code, once it has ended; null: a signal has killed it. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Kills it, if it still runs. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
    }
    await this.#ended;
  }
}
