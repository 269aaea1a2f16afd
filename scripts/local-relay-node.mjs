/**
 * The relay node that `RELAY_NODE=1 npm start` runs beside the service. The service is what
 * `local-organisation.mjs` takes, too.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { buildRelayNode, RELAY_NODE } from "./build-relay-node.mjs";
import { nodePath, ROOT, readOrganisation, writeOrganisation } from "./setup.mjs";

/**
 * Deletes the relay node of an earlier start. While one was online in the last hour, every session is made
 * for a relay node; so one that is gone would leave a start without it with sessions that fail.
 */
export async function forgetRelayNode({ callAsRoot, stop }) {
  const known = readOrganisation();
  if (!known?.relay_node) return;
  const { relay_node: id, ...rest } = known;
  const { status, text } = await callAsRoot("DELETE", `/v1/relay-nodes/${id}`);
  if (status !== 204 && status !== 404) {
    await stop(1, `The relay node of the last start could not be deleted: ${status} ${text}`);
  }
  writeOrganisation(rest);
}

/**
 * A relay node on loopback, for all organisations: UDP works with one command.
 * @param onStarted is given its process, before it is linked
 */
export async function startRelayNode({ callAsRoot, stop }, { address, port, onStarted }) {
  await buildRelayNode();
  const body = JSON.stringify({ name: "npm start" });
  const { status, text } = await callAsRoot("POST", "/v1/relay-nodes", body);
  if (status !== 201) await stop(1, `No relay node could be made: ${status} ${text}`);
  const { id, token } = JSON.parse(text);
  writeOrganisation({ ...readOrganisation(), relay_node: id });
  const args = ["--url", `http://${address}:${port}`, "--host", address];
  args.push("--server-port", "0", "--client-port", "0");
  const relayNode = spawn(nodePath(), [RELAY_NODE, ...args], {
    cwd: ROOT,
    env: { ...process.env, RELAY_NODE_TOKEN: token },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onStarted(relayNode);
  // It does nothing if the script is ending anyway.
  relayNode.on("exit", (code) => {
    stop(1, `The relay node ended by itself (exit code ${code}): see above.`);
  });
  await new Promise((linked) => {
    createInterface({ input: relayNode.stdout }).on("line", (line) => {
      const { level, message } = JSON.parse(line);
      if (level !== "info") console.log(line);
      if (message === "linked") linked();
    });
  });
}
