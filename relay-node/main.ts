/** The relay node as a program: `npm run relay-node`, or the single file of `npm run build:relay-node`. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import packageJson from "../package.json" with { type: "json" };
import { monotonicNow } from "./clock";
import { createLog, type Log } from "./log";
import { serveMetrics } from "./metrics";
import { type CommandLine, readCommandLine, USAGE, UsageError } from "./options";
import { RelayNode } from "./relay-node";
import { signalHandler } from "./signals";
import { runWorker } from "./worker";
import { WORKER_ARGUMENT } from "./worker-messages";

/** What systemd should not start again: `RestartPreventExitStatus=2`. */
const DO_NOT_RESTART = 2;

if (process.argv[2] === WORKER_ARGUMENT && process.send) {
  runWorker();
} else {
  process.exitCode = await run(
    readOrExit(),
    createLog((line) => process.stdout.write(`${line}\n`)),
  );
  // Sockets of the metrics' readers may still be open.
  process.exit();
}

function readOrExit(): CommandLine {
  try {
    const read = readCommandLine(process.argv.slice(2), process.env);
    if (read) return read;
    process.stdout.write(USAGE);
    return process.exit(0);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    return process.exit(DO_NOT_RESTART);
  }
}

/** @returns the exit code */
async function run({ metrics, ...options }: CommandLine, log: Log): Promise<number> {
  const { version } = packageJson;
  const ip = await addressOf(options.host);
  let node: RelayNode;
  try {
    node = await RelayNode.start({ ...options, ip, version, log, program: import.meta.filename });
  } catch (error) {
    log.error("the UDP ports could not be bound", { error: (error as Error).message });
    return 1;
  }
  obeySignals(node);
  if (metrics) {
    try {
      const { url } = await serveMetrics(node, metrics);
      log.info("metrics", { url });
    } catch (error) {
      log.error("the metrics could not be served", { error: (error as Error).message });
      await node.stop();
      return 1;
    }
  }
  const end = await node.ended;
  if (end.type === "stopped") {
    log.info("ended");
    return 0;
  }
  log.error("ended", { reason: end.reason });
  return end.lasts ? DO_NOT_RESTART : 1;
}

function obeySignals(node: RelayNode): void {
  const signalled = signalHandler(node, monotonicNow);
  process.on("SIGTERM", signalled);
  process.on("SIGINT", signalled);
}

/** The address of a name, as this machine sees it; null: not known. */
async function addressOf(host: string): Promise<string | null> {
  if (isIP(host) > 0) return host;
  try {
    return (await lookup(host, { order: "ipv4first" })).address;
  } catch {
    return null;
  }
}
