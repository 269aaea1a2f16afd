/**
 * `npm run bench:relay-node`: installs what is missing, then measures on the bundled Node. With
 * `-- --workers` it measures two workers beside one.
 */
import { ensureInstalled, readOptions, runNode } from "./setup.mjs";

const { workers } = readOptions({
  workers: { type: "boolean", usage: "--workers  measure two workers beside one" },
});
ensureInstalled();
const { code } = await runNode([workers ? "bench/relay-node-workers.mjs" : "bench/relay-node.mjs"]);
process.exitCode = code;
