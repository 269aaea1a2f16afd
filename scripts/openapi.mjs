/**
 * `npm run openapi`: writes `openapi.json`, the description of the API, from the operations in `src/`.
 * With `-- --check` it writes nothing, and fails if the committed file is another.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled, fail, ROOT, readOptions } from "./setup.mjs";

const FILE = join(ROOT, "openapi.json");

const { check: isCheck } = readOptions({
  check: {
    type: "boolean",
    usage: "--check  writes nothing, and fails if openapi.json is not current",
  },
});
ensureInstalled();
const description = await describe();
if (!isCheck) {
  writeFileSync(FILE, description);
} else if (readFileSync(FILE, "utf8") !== description) {
  fail("openapi.json lags behind the operations in src/: run `npm run openapi`.");
}

/** The sources are TypeScript without file endings in their imports, so they are bundled first. */
async function describe() {
  const folder = mkdtempSync(join(tmpdir(), "drawbridge-openapi-"));
  try {
    const bundle = join(folder, "document.mjs");
    const { build } = await import("esbuild");
    await build({
      absWorkingDir: ROOT,
      entryPoints: ["src/openapi/document.ts"],
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "warning",
      outfile: bundle,
    });
    const { describeApi } = await import(pathToFileURL(bundle).href);
    return `${JSON.stringify(describeApi(), null, 2)}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
