/**
 * `npm run build:client`: the package `drawbridge-client`. Generates the API's part from openapi.json, then
 * writes each entry as one ES module, with types, into `client/dist`. The tests, the checks and the demo make
 * it too: what is up to date is left alone.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { filesBelow } from "./build-pages.mjs";
import { ensureInstalled, fail, ROOT, readOptions, runNode } from "./setup.mjs";

const CLIENT = join(ROOT, "client");
const SOURCES = join(CLIENT, "src");
const GENERATED = join(SOURCES, "api");
const DIST = join(CLIENT, "dist");
/** The file in `client/dist` that says what it was made from. */
const STAMP = ".made-from";
/** The package's entries: as `exports` in client/package.json. */
const ENTRIES = ["index", "relay", "pairing"];

/** Makes `client/dist`, unless it is up to date. It ends the script if that fails. */
export async function buildClient() {
  ensureInstalled();
  const inputs = hashInputs();
  const stamp = join(DIST, STAMP);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return;
  const unfinished = unfinishedFolder("client");
  await generate();
  await Promise.all([writeModules(unfinished), writeTypes(unfinished)]);
  copyFileSync(join(ROOT, "LICENSE"), join(unfinished, "LICENSE"));
  writeFileSync(join(unfinished, STAMP), inputs);
  replaceFolder(unfinished, DIST);
}

/** An empty folder for what is being made, so that nobody sees half of it. */
function unfinishedFolder(name) {
  const folder = join(ROOT, "dist", `unfinished-${name}-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

function hashInputs() {
  const hash = createHash("sha256");
  const sources = filesBelow(SOURCES).filter((path) => !path.startsWith("api"));
  const files = [
    ...sources.sort().map((path) => join(SOURCES, path)),
    join(CLIENT, "generate-api.mjs"),
    join(CLIENT, "package.json"),
    join(CLIENT, "tsconfig.json"),
    join(ROOT, "openapi.json"),
    import.meta.filename,
  ];
  for (const file of files) hash.update(file).update("\0").update(readFileSync(file));
  return hash.digest("hex");
}

async function generate() {
  // Imported late: its packages may have been installed only now.
  const { generateApi } = await import("../client/generate-api.mjs");
  const unfinished = unfinishedFolder("client-api");
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

/** Somebody else may be making the same folder: then it does not matter whose it is. */
function replaceFolder(from, to) {
  rmSync(to, { recursive: true, force: true });
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    rmSync(from, { recursive: true, force: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  readOptions();
  await buildClient();
  console.log("client/dist is made.");
}
