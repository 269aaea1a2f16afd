/** `npm run bench:relay-node`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, readOptions, runNode } from "./setup.mjs";

readOptions();
ensureInstalled();
const { code } = await runNode(["bench/relay-node.mjs"]);
process.exitCode = code;
