/**
 * `npm run build:client`: the package `drawbridge-client`. Generates the API's part from openapi.json, then
 * writes each entry as one ES module, with types, into `client/dist`. The tests, the checks and the demo make
 * it too: what is up to date is left alone.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, makeFolder, replaceFolder, unfinishedFolder } from "./made-folder.mjs";
import { ensureInstalled, fail, ROOT, readOptions, runNode } from "./setup.mjs";

const CLIENT = join(ROOT, "client");
const SOURCES = join(CLIENT, "src");
const GENERATED = join(SOURCES, "api");
const DIST = join(CLIENT, "dist");
/** The package's entries: as `exports` in client/package.json. */
const ENTRIES = ["index", "relay", "pairing"];

/** Makes `client/dist`, unless it is up to date. It ends the script if that fails. */
export async function buildClient() {
  ensureInstalled();
  const inputs = [
    ...filesBelow(SOURCES)
      .filter((path) => !path.startsWith("api"))
      .sort()
      .map((path) => join(SOURCES, path)),
    join(CLIENT, "generate-api.mjs"),
    join(CLIENT, "package.json"),
    join(CLIENT, "tsconfig.json"),
    join(ROOT, "openapi.json"),
    import.meta.filename,
  ];
  await makeFolder(DIST, inputs, async (unfinished) => {
    await generate();
    await Promise.all([writeModules(unfinished), writeTypes(unfinished)]);
    copyFileSync(join(ROOT, "LICENSE"), join(unfinished, "LICENSE"));
  });
}

async function generate() {
  // Imported late: its packages may have been installed only now.
  const { generateApi } = await import("../client/generate-api.mjs");
  const unfinished = unfinishedFolder();
  await generateApi(join(ROOT, "openapi.json"), unfinished);
  replaceFolder(unfinished, GENERATED);
}

async function writeModules(outdir) {
  const { build } = await import("esbuild");
  await build({
    entryPoints: ENTRIES.map((name) => join(SOURCES, `${name}.ts`)),
    outdir,
    bundle: true,
    packages: "external",
    format: "esm",
    target: "es2022",
    logLevel: "warning",
  });
}

async function writeTypes(outDir) {
  const args = ["node_modules/typescript/bin/tsc", "--project", "client", "--outDir", outDir];
  const { code, stdout, stderr } = await runNode(args, { capture: true });
  if (code !== 0) fail(`The types of client/ could not be made.\n${stdout}${stderr}`);
}

if (process.argv[1] === import.meta.filename) {
  readOptions();
  await buildClient();
  console.log("client/dist is made.");
}
