/** `npm run bench`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, runNode } from "./setup.mjs";

await ensureInstalled();
const { code } = await runNode(["bench/bench.mjs"]);
process.exitCode = code;
