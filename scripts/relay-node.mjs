/**
 * `npm run relay-node -- --url … --host …`: builds the relay node and runs it. Its options are its own
 * (`relay-node/options.ts`).
 */
import { spawn } from "node:child_process";
import { buildRelayNode, RELAY_NODE } from "./build-relay-node.mjs";
import { fail, nodePath } from "./setup.mjs";

for (const name of [
  "url",
  "host",
  "bind",
  "server-port",
  "client-port",
  "capacity",
  "workers",
  "metrics",
]) {
  if (process.env[`npm_config_${name.replaceAll("-", "_")}`] === undefined) continue;
  fail(
    `npm took --${name} for an option of its own. Write \`--\` before it: ` +
      "npm run relay-node -- --url https://… --host …",
  );
}
await buildRelayNode();
const node = spawn(nodePath(), [RELAY_NODE, ...process.argv.slice(2)], { stdio: "inherit" });
node.on("exit", (code) => process.exit(code ?? 1));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => node.kill(signal));

// A signal sent to npm alone ends npm and the shell between it and us, but never reaches us.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || node.kill("SIGTERM"), 2_500).unref();
}
