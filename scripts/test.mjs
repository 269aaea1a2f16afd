/**
 * `npm test`: every test that needs no browser, once. It shows failures, with what the Worker logged
 * meanwhile, and a summary; `npm test -- --verbose` names every test and shows all logs. Further
 * arguments go to vitest, which refuses those that it does not know.
 */

import { ensureInstalled, runNode } from "./setup.mjs";

const given = process.argv.slice(2).filter((argument) => argument !== "--verbose");
const verbose = process.argv.includes("--verbose");
const chosen = given.some((argument) => argument.startsWith("--reporter"));
const shown = verbose ? ["--reporter=verbose", "--silent=false"] : ["--reporter=dot"];

ensureInstalled();
const oneProject = given.some((argument) => argument.startsWith("--project"));
const { code } = await runNode(
  [
    "node_modules/vitest/vitest.mjs",
    "run",
    ...(oneProject ? [] : ["--project=!browser"]),
    ...(chosen ? [] : shown),
    ...given,
  ],
  // Without a .dev.vars Wrangler warns that secrets are missing: the tests have their own.
  { env: verbose ? { TEST_LOGS: "all" } : { WRANGLER_LOG: "error" } },
);
process.exit(code);
