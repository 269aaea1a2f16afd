/** The command line of a relay node. */
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { MAX_NODE_SESSIONS } from "../src/relay-nodes/link-protocol";

/** What a node was started with. */
export interface CommandLine {
  url: URL;
  token: string;
  host: string;
  bind: string;
  serverPort: number;
  clientPort: number;
  capacity: number | null;
  drainMs: number;
  /** How many processes forward datagrams. */
  workers: number;
  /** Where metrics are served; null: nowhere. */
  metrics: { host: string; port: number } | null;
}

/** With more, each would have less than one of the ten answers a second to invalid tokens. */
const MAX_WORKERS = 8;

const OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  host: { type: "string" },
  bind: { type: "string" },
  "server-port": { type: "string", default: "31000" },
  "client-port": { type: "string", default: "31001" },
  capacity: { type: "string" },
  "drain-minutes": { type: "string", default: "30" },
  workers: { type: "string", default: "1" },
  metrics: { type: "string" },
  help: { type: "boolean" },
} as const;

export const USAGE = `A relay node of Drawbridge: carries the UDP datagrams of relay sessions.

  --url URL              where Drawbridge is, such as https://relay.example.com (required)
  --host NAME            where players reach this machine: a name or an address (required)
  --server-port PORT     the UDP port for hosts (31000); 0: any free one
  --client-port PORT     the UDP port for everyone else (31001); 0: any free one
  --bind ADDRESS         the address to bind: loopback if --host is loopback, or else all of IPv4
  --capacity N           how many sessions it takes, 100000 at most
  --drain-minutes N      how long it goes on after SIGTERM until the last session has ended (30)
  --workers N            how many processes share the ports, each with a core of its own (1); 8 at most
  --metrics HOST:PORT    serve Prometheus metrics there, such as 127.0.0.1:9464
  --token TOKEN          the node's token, drbn_…; better in the environment, as RELAY_NODE_TOKEN

It ends with 0 when it was drained or stopped, with 2 when it is of no use to start it again as it is
(a wrong option, a wrong token, another process with the same token), and else with 1.
`;

/** A command line that does not say what it has to. The message says what is wrong. */
export class UsageError extends Error {}

/**
 * Reads the command line.
 * @returns null: it asks for help
 * @throws UsageError
 */
export function readCommandLine(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CommandLine | null {
  const values = parse(args);
  if (values.help) return null;
  const token = values.token ?? env.RELAY_NODE_TOKEN;
  if (!token) throw new UsageError("Set RELAY_NODE_TOKEN to the token of this relay node.");
  if (!token.startsWith("drbn_")) {
    throw new UsageError("The token of a relay node begins with drbn_: this is another one.");
  }
  const host = required(values.host, "--host");
  if (isIP(host) === 0 && !/^[A-Za-z0-9.-]{1,253}$/.test(host)) {
    throw new UsageError(`--host must be a name or an address, without a port, not "${host}".`);
  }
  return {
    url: readUrl(required(values.url, "--url")),
    token,
    host,
    bind: readBind(values.bind, host),
    serverPort: readNumber("--server-port", values["server-port"], 0, 65_535),
    clientPort: readNumber("--client-port", values["client-port"], 0, 65_535),
    capacity:
      values.capacity === undefined
        ? null
        : readNumber("--capacity", values.capacity, 1, MAX_NODE_SESSIONS),
    drainMs: readNumber("--drain-minutes", values["drain-minutes"], 0, 1_440) * 60_000,
    workers: readNumber("--workers", values.workers, 1, MAX_WORKERS),
    metrics: values.metrics === undefined ? null : readAddress(values.metrics),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function required(value: string | undefined, name: string): string {
  if (!value) throw new UsageError(`${name} is missing.`);
  return value;
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new UsageError(`--url must begin with https:// or http://, not "${text}".`);
  }
  // The token goes there: in clear text only within this machine.
  if (url.protocol === "http:" && !isLoopback(url.hostname)) {
    throw new UsageError(
      `--url must begin with https://: the token would go to ${url.host} readable.`,
    );
  }
  return url;
}

function readBind(bind: string | undefined, host: string): string {
  if (bind === undefined) {
    if (!isLoopback(host)) return isIP(host) === 6 ? "::" : "0.0.0.0";
    return isIP(host) === 6 ? "::1" : "127.0.0.1";
  }
  if (isIP(bind) === 0) throw new UsageError(`--bind must be an IP address, not "${bind}".`);
  return bind;
}

/** Whether a name or an address is this machine's own, reached by nobody else. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

function readNumber(name: string, text: string, least: number, most: number): number {
  const value = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${name} must be a number from ${least} to ${most}, not "${text}".`);
}

function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (!host) throw new UsageError(`--metrics must be an address and a port, not "${text}".`);
  return { host, port: readNumber("The port of --metrics", match?.[3] ?? "", 0, 65_535) };
}
