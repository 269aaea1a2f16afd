/** The metrics of a relay node, for Prometheus, at `/metrics` of an address of its own. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, Gauge, Registry } from "prom-client";
import { measureEventLoop } from "./event-loop";
import type { RelayNode } from "./relay-node";
import { DROP_REASONS } from "./traffic-counts";

export interface MetricsServer {
  /** Such as `http://127.0.0.1:9464/metrics`. */
  url: string;
  close(): void;
}

/** Serves the metrics on this address. Rejects when it cannot be bound. */
export async function serveMetrics(
  node: RelayNode,
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const registry = new Registry();
  const stopMeasuring = register(node, registry);
  const server: Server = createServer(async (request, response) => {
    if (request.url !== "/metrics") {
      response
        .writeHead(404, { "Content-Type": "text/plain" })
        .end("The metrics are at /metrics.\n");
      return;
    }
    const text = await registry.metrics();
    response.writeHead(200, { "Content-Type": registry.contentType }).end(text);
  });
  server.listen(port, host);
  await once(server, "listening");
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}/metrics`,
    close: () => {
      stopMeasuring();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** @returns what ends the measuring */
function register(node: RelayNode, registry: Registry): () => void {
  const { counts, table } = node.forwarder;
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `relay_node_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `relay_node_${name}_total`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  gauge("link_up", "1 while Drawbridge has welcomed this node", () => Number(node.isLinked));
  gauge("draining", "1 while it takes no new session", () => Number(node.isDraining));
  gauge("sessions", "Sessions that it carries", () => table.sessionCount);
  gauge(
    "users",
    "Users who were heard in the last 10 s",
    () => node.forwarder.presence.connectedUsers,
  );
  gauge("workers", "Worker processes that run; 0: it has none", () => node.forwarder.workers);
  counter("datagrams_in", "Datagrams received", () => counts.datagramsIn);
  counter("datagrams_out", "Datagrams sent", () => counts.datagramsOut);
  counter("bytes_in", "Bytes of datagrams received", () => counts.bytesIn);
  counter("bytes_out", "Bytes of datagrams sent", () => counts.bytesOut);
  new Counter({
    name: "relay_node_datagrams_dropped_total",
    help: "Datagrams and frames that were not passed on",
    labelNames: ["reason"],
    registers,
    collect() {
      this.reset();
      for (const reason of DROP_REASONS) this.inc({ reason }, counts.dropped[reason]);
    },
  });
  return registerEventLoop(gauge, node);
}

/** Of this process, or of the busiest worker: it is the one that is full first. */
function registerEventLoop(
  gauge: (name: string, help: string, read: () => number) => unknown,
  node: RelayNode,
): () => void {
  const { read, stop } = measureEventLoop();
  // The first gauge of a reading takes what was measured since the last one, for both.
  let utilization = 0;
  gauge("event_loop_delay_p99_seconds", "99th percentile since the last reading", () => {
    const own = read();
    const figures = node.forwarder.takeBusiest() ?? own;
    utilization = figures.utilization;
    return figures.delaySeconds;
  });
  gauge(
    "event_loop_utilization",
    "Part of the time that was not idle, since the last reading",
    () => utilization,
  );
  return stop;
}
