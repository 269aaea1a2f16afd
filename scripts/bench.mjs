/** `npm run bench`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, runNode } from "./setup.mjs";

await ensureInstalled();
process.exitCode = await runNode(["bench/bench.mjs"]);
