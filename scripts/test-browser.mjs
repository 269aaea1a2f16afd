/**
 * `npm run test:browser`: the tests that see the pages in Chromium. Arguments go to vitest. CHROMIUM
 * names the browser's program; where there is none, root on Debian gets it installed.
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { ensureInstalled, fail, runNode } from "./setup.mjs";

const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";
const INSTALL_WITHIN_MS = 600_000;

ensureInstalled();
if (!existsSync(CHROMIUM)) installChromium();
const given = process.argv.slice(2);
const chosen = given.some((argument) => argument.startsWith("--reporter"));
const { code } = await runNode([
  "node_modules/vitest/vitest.mjs",
  "run",
  "--project=browser",
  ...(chosen ? [] : ["--reporter=dot"]),
  ...given,
]);
process.exit(code);

function installChromium() {
  const advice =
    `There is no ${CHROMIUM}. Install Chromium (on Debian, as root: apt-get install chromium), or say ` +
    "where it is:\n\n  CHROMIUM=/path/to/chromium npm run test:browser";
  if (process.env.CHROMIUM || process.getuid?.() !== 0) fail(advice);
  console.log("Installing Debian's Chromium (apt-get) …");
  // A machine that is new has no list of packages yet.
  aptGet(["update"]);
  aptGet(["install", "--yes", "--no-install-recommends", "chromium"]);
  if (!existsSync(CHROMIUM)) fail(advice);
}

function aptGet(args) {
  const { status, error, stderr } = spawnSync("apt-get", ["--quiet=2", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: INSTALL_WITHIN_MS,
  });
  if (status !== 0) console.error(`apt-get ${args[0]} failed: ${error?.message ?? stderr}`);
}
