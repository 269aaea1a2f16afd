/** A program of the repository as one file, for measurements that start it as a process of its own. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

/**
 * Makes the file.
 * @param entry its path from `bench/` on
 * @returns the file, and the folder that whoever called removes at the end
 */
export async function bundleProgram(entry) {
  // Below the root, so that packages are found.
  const dist = join(import.meta.dirname, "../dist");
  mkdirSync(dist, { recursive: true });
  const folder = mkdtempSync(join(dist, "bench-"));
  const file = join(folder, "program.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, entry)],
    outfile: file,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "warning",
  }).catch((error) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return { folder, file };
}

/** A Worker of `bench/` as one module, with the packages that it imports. */
export async function bundleText(file) {
  const { outputFiles } = await build({
    entryPoints: [file],
    write: false,
    bundle: true,
    external: ["cloudflare:*", "node:*"],
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "import"],
    format: "esm",
    logLevel: "warning",
  });
  return outputFiles[0].text;
}
