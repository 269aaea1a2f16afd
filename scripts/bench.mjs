/** `npm run bench`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, readOptions, runNode } from "./setup.mjs";

readOptions();
ensureInstalled();
const { code } = await runNode(["bench/bench.mjs"]);
process.exitCode = code;
