/**
 * `npm test`: every test that needs no browser, once. It shows failures, with what the Worker logged
 * meanwhile, and a summary; `npm test -- --verbose` names every test and shows all logs. Further
 * arguments go to vitest.
 */

import { ensureInstalled, runNode } from "./setup.mjs";

const given = process.argv.slice(2).filter((argument) => argument !== "--verbose");
const verbose = process.argv.includes("--verbose");
const chosen = given.some((argument) => argument.startsWith("--reporter"));
const shown = verbose ? ["--reporter=verbose", "--silent=false"] : ["--reporter=dot"];

ensureInstalled();
const { code } = await runNode([
  "node_modules/vitest/vitest.mjs",
  "run",
  ...(given.some((argument) => argument.startsWith("--project")) ? [] : ["--project=!browser"]),
  ...(chosen ? [] : shown),
  ...given,
]);
process.exit(code);
