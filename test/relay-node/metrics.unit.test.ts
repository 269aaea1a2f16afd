/** The metrics of a relay node: a figure for each thing, under its own name. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type MetricsServer, serveMetrics } from "../../relay-node/metrics";
import type { RelayNode } from "../../relay-node/relay-node";
import { DROP_REASONS } from "../../relay-node/traffic-counts";
import { eventually } from "../support/eventually";
import { type FakeDrawbridge, startFakeDrawbridge, TOKEN } from "../support/fake-drawbridge";
import { assignment } from "../support/forwarder";
import { ping, pong } from "../support/relay-datagrams";
import { startRelayNode } from "../support/relay-node-program";
import { UdpPeer } from "../support/udp-peer";

let drawbridge: FakeDrawbridge;
let node: RelayNode;
let metrics: MetricsServer;

beforeEach(async () => {
  drawbridge = await startFakeDrawbridge();
  node = await startRelayNode(drawbridge.url, TOKEN);
  metrics = await serveMetrics(node, { host: "127.0.0.1", port: 0 });
});

afterEach(async () => {
  metrics.close();
  await node.stop();
  await drawbridge.close();
});

/** What a reader gets, by name and labels. Each must have a line that says what it is. */
async function read(): Promise<Record<string, number>> {
  const text = await (await fetch(metrics.url)).text();
  expect(text).not.toContain(TOKEN);
  const figures = text.matchAll(/^([a-z_0-9]+)(\{.*\})? (\S+)$/gm);
  return Object.fromEntries(
    [...figures].map(([, name, labels = "", value]) => {
      expect(text).toMatch(new RegExp(`^# HELP ${name} .+$`, "m"));
      expect(text).toMatch(new RegExp(`^# TYPE ${name} (gauge|counter)$`, "m"));
      return [`${name}${labels}`, Number(value)];
    }),
  );
}

test("are what it carries, what it counted, why it dropped, and the load of its event loop", async () => {
  await drawbridge.ask({ type: "assign", ref: "", session: assignment("s1", 500, [100, 101]) });
  const second = assignment("s2", 501, [100, 101]);
  await drawbridge.ask({ type: "assign", ref: "", session: second });
  const anna = await UdpPeer.open(node.ports.client);
  await anna.until(ping(101, 500), pong(2));
  await eventually(async () => {
    const counts = { datagramsIn: 11, datagramsOut: 12, bytesIn: 13, bytesOut: 14 };
    Object.assign(node.forwarder.counts, counts);
    for (const [i, reason] of DROP_REASONS.entries()) {
      node.forwarder.counts.dropped[reason] = 20 + i;
    }
    const {
      relay_node_event_loop_delay_p99_seconds: delay,
      relay_node_event_loop_utilization: utilization,
      ...others
    } = await read();
    expect(others).toEqual({
      relay_node_link_up: 1,
      relay_node_draining: 0,
      relay_node_sessions: 2,
      relay_node_users: 1,
      relay_node_workers: 0,
      relay_node_datagrams_in_total: 11,
      relay_node_datagrams_out_total: 12,
      relay_node_bytes_in_total: 13,
      relay_node_bytes_out_total: 14,
      'relay_node_datagrams_dropped_total{reason="malformed"}': 20,
      'relay_node_datagrams_dropped_total{reason="invalid-tokens"}': 21,
      'relay_node_datagrams_dropped_total{reason="over-limit"}': 22,
      'relay_node_datagrams_dropped_total{reason="no-receiver"}': 23,
      'relay_node_datagrams_dropped_total{reason="not-permitted"}': 24,
      'relay_node_datagrams_dropped_total{reason="link-down"}': 25,
      'relay_node_datagrams_dropped_total{reason="too-large"}': 26,
      'relay_node_datagrams_dropped_total{reason="socket-full"}': 27,
    });
    expect(delay).toBeGreaterThan(0);
    expect(utilization).toBeGreaterThan(0);
    expect(utilization).toBeLessThanOrEqual(1);
  });
  anna.close();
});

test("show that the link is down, and that it drains", async () => {
  await drawbridge.ask({ type: "assign", ref: "", session: assignment("s1", 500, [100, 101]) });
  node.drain();
  drawbridge.refuseWith = 503;
  (await drawbridge.link()).terminate();
  await eventually(async () => {
    expect(await read()).toMatchObject({ relay_node_link_up: 0, relay_node_draining: 1 });
  });
});

test("stand at /metrics only", async () => {
  expect((await fetch(new URL("/", metrics.url))).status).toBe(404);
});
