/** `npm run check`: everything but the tests that a change must pass. One line per check. */

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { buildClient } from "./build-client.mjs";
import { ensureInstalled, ROOT, readOptions, runNode, runWrangler } from "./setup.mjs";

const TYPES = "worker-configuration.d.ts";

const CHECKS = {
  types: () => capture(["node_modules/typescript/bin/tsc", "--noEmit"]),
  "types of console": () =>
    capture(["node_modules/typescript/bin/tsc", "--noEmit", "--project", "console"]),
  // `biome ci` colours what it prints even into a pipe.
  "lint and format": () =>
    capture(["node_modules/@biomejs/biome/bin/biome", "ci", "--colors=off", "."]),
  rooms: () =>
    capture([
      "node_modules/dependency-cruiser/bin/dependency-cruise.mjs",
      "src",
      "--config",
      ".dependency-cruiser.mjs",
      "--output-type=err-long",
    ]),
  // The secrets' names come from `secrets.required` in wrangler.toml, so the outcome is the same
  // with and without a .dev.vars.
  "generated types": () =>
    runWrangler(["types", "--check", "--include-runtime=false", TYPES], { capture: true }),
  migrations: checkMigrations,
  "openapi.json": () => capture(["scripts/openapi.mjs", "--check"]),
};

readOptions();
ensureInstalled();
// The tests import it, so its types have to be there. It fails where its own types are wrong.
await buildClient();
let failures = 0;
// All at once: each waits mostly for its own process. Printed in order.
const running = Object.entries(CHECKS).map(([name, run]) => [name, timed(run)]);
for (const [name, outcome] of running) {
  const { code, output, seconds } = await outcome;
  console.log(`${name.padEnd(16)} ${code === 0 ? "ok" : "FAILED"} (${seconds} s)`);
  if (code !== 0) {
    failures += 1;
    console.log(`${output.trim()}\n`);
  }
}
console.log(`${running.length - failures} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);

function capture(args) {
  return runNode(args, { capture: true, stdin: "ignore" });
}

async function timed(run) {
  const start = Date.now();
  const { code, stdout, stderr } = await run();
  return {
    code,
    output: `${stdout}\n${stderr}`,
    seconds: ((Date.now() - start) / 1000).toFixed(1),
  };
}

/** Generates into a copy of migrations/: the schema agrees when there is nothing to generate. */
async function checkMigrations() {
  const copy = mkdtempSync(join(tmpdir(), "drawbridge-migrations-"));
  try {
    cpSync(join(ROOT, "migrations"), copy, { recursive: true });
    const result = await capture([
      "node_modules/drizzle-kit/bin.cjs",
      "generate",
      "--dialect=sqlite",
      "--schema=src/db/schema",
      // drizzle-kit takes a path from the working folder only.
      `--out=${relative(ROOT, copy)}`,
    ]);
    // Not its exit code: without a terminal it also ends with 0 when it would ask about a rename.
    if (result.stdout.includes("No schema changes")) return result;
    const advice = "migrations/ lags behind src/db/schema/: run `npm run db:generate`.";
    return { ...result, code: 1, stderr: `${result.stderr}\n${advice}` };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
