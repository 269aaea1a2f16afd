/** `npm run bench:console`: installs what is missing, then measures the console in Chromium on the bundled Node. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, ROOT, readOptions, runNode } from "./setup.mjs";

readOptions({}, "CHROMIUM names the browser's program.");
ensureInstalled();
// Imported late: it may have been installed only now.
const { build } = await import("esbuild");
// Below the root, so that packages are found.
mkdirSync(join(ROOT, "dist"), { recursive: true });
const folder = mkdtempSync(join(ROOT, "dist/bench-"));
try {
  const outfile = join(folder, "console.mjs");
  await build({
    entryPoints: [join(ROOT, "bench/console.ts")],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "warning",
  });
  const env = {
    DRAWBRIDGE_SECRET: "bench-secret-0123456789-0123456789-0123",
    DRAWBRIDGE_ROOT_TOKEN: "bench-root-token-0123456789-0123456789",
    WRANGLER_LOG: "error",
  };
  const { code } = await runNode([outfile], { env });
  process.exitCode = code;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
