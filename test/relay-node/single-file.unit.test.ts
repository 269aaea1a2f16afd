/** The relay node as `npm run build:relay-node` makes it: one file, on a machine with Node and nothing else. */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RELAY_NODE } from "../../scripts/build-relay-node.mjs";
import { eventually } from "../support/eventually";
import { type FakeDrawbridge, startFakeDrawbridge, TOKEN } from "../support/fake-drawbridge";
import { assignment } from "../support/forwarder";
import { clientData, ping, pong, toHost } from "../support/relay-datagrams";
import { RelayNodeProcess } from "../support/relay-node-process";
import { UdpPeer } from "../support/udp-peer";

let drawbridge: FakeDrawbridge;
let folder: string;
let node: RelayNodeProcess | undefined;

beforeEach(async () => {
  drawbridge = await startFakeDrawbridge();
  folder = mkdtempSync(join(tmpdir(), "relay-node-"));
  await RelayNodeProcess.build();
  copyFileSync(RELAY_NODE, join(folder, "relay-node.mjs"));
});

afterEach(async () => {
  await node?.kill();
  await drawbridge.close();
  rmSync(folder, { recursive: true });
});

test("it links, carries datagrams, opens a trunk and serves metrics where no package is installed", async () => {
  const address = "127.0.0.2";
  node = RelayNodeProcess.start(
    { origin: drawbridge.url.href, token: TOKEN },
    [
      ...["--server-port", "0", "--client-port", "0", "--bind", address],
      ...["--metrics", "127.0.0.1:0"],
    ],
    join(folder, "relay-node.mjs"),
  );
  const { bind, server_port, client_port } = await node.logged("listening");
  expect(bind).toBe(address);
  const session = assignment("s1", 500, [100, 101], { trunk: true });
  await drawbridge.ask({ type: "assign", ref: "", session });
  const host = await UdpPeer.open(server_port, address);
  const anna = await UdpPeer.open(client_port, address);
  await host.until(ping(100, 500), pong(2));
  await eventually(async () => {
    await anna.send(clientData(101, 500, "data"));
    expect(host.received).toContainEqual(toHost(1, "data"));
  });
  await drawbridge.trunk("s1");
  const { url } = await node.logged("metrics");
  expect(await (await fetch(url)).text()).toContain("relay_node_sessions 1");
  host.close();
  anna.close();
});

test("its workers end with it, also when it is killed, and its ports are free then", async () => {
  const file = join(folder, "relay-node.mjs");
  const from = { origin: drawbridge.url.href, token: TOKEN };
  const options = ["--server-port", "0", "--client-port", "0", "--workers", "2"];
  node = RelayNodeProcess.start(from, options, file);
  const { server_port, client_port } = await node.logged("listening");
  await node.logged("linked");
  const ready = node.lines.filter(({ message }) => message === "a worker is ready");
  expect(ready).toHaveLength(2);
  await node.kill();
  for (const { pid } of ready) await eventually(() => expect(() => process.kill(pid, 0)).toThrow());
  const same = ["--server-port", `${server_port}`, "--client-port", `${client_port}`];
  node = RelayNodeProcess.start(from, [...same, "--workers", "2"], file);
  await node.logged("linked");
  node.signal("SIGTERM");
  expect(await node.ended()).toBe(0);
});
