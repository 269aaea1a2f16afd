/** `npm test`: every test that needs no browser, once. Further arguments go to vitest. */

import { ensureInstalled, runNode } from "./setup.mjs";

ensureInstalled();
const { code } = await runNode(["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)]);
process.exit(code);
