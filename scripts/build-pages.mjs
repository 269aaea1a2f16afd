/**
 * Puts the static files that are served beside the Worker into `dist/assets`: the folder `pages/`, the
 * API's description, Swagger UI, the relay part of the client, and the console. wrangler runs it before it builds the
 * Worker (`[build]` in wrangler.toml), and so does vitest.config.ts. A file that is up to date is left alone,
 * so that several may run at once.
 *
 * For `npm start` the variable DRAWBRIDGE_ASSETS names another folder, which gets the example game too. A
 * deployment does not serve it.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildConsole, CONSOLE_DIST } from "./build-console.mjs";
import { bundleRelay, RELAY_LICENCE } from "./bundle-relay.mjs";
import { filesBelow } from "./made-folder.mjs";
import { ROOT, readOrganisation } from "./setup.mjs";

const PAGES = join(ROOT, "pages");
const SWAGGER_UI = join(ROOT, "node_modules/swagger-ui-dist");
const GAME = join(ROOT, "examples/game");
const ASSETS = join(ROOT, process.env.DRAWBRIDGE_ASSETS || "dist/assets");

/** What /docs loads, and the licences that have to go with it. */
const SWAGGER_UI_FILES = [
  "swagger-ui-bundle.js",
  "swagger-ui.css",
  "swagger-ui-bundle.js.LICENSE.txt",
  "LICENSE",
  "NOTICE",
];

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPages();

/** Makes the folder hold these files and no other. */
export async function buildPages() {
  await buildConsole();
  const sources = new Map([
    ...filesBelow(PAGES).map((path) => [path, join(PAGES, path)]),
    ...SWAGGER_UI_FILES.map((name) => [join("docs/swagger-ui", name), join(SWAGGER_UI, name)]),
    ...consoleFiles().map((path) => [join("console", path), join(CONSOLE_DIST, path)]),
    ["openapi.json", join(ROOT, "openapi.json")],
    ["client/relay.js.LICENSE.txt", RELAY_LICENCE],
  ]);
  const made = new Map([["client/relay.js", bundleRelay()]]);
  if (process.env.DRAWBRIDGE_ASSETS) {
    for (const path of filesBelow(GAME)) sources.set(join("play", path), join(GAME, path));
    made.set("play/config.js", gameConfig());
  }
  mkdirSync(ASSETS, { recursive: true });
  for (const path of filesBelow(ASSETS)) {
    if (!sources.has(path) && !made.has(path)) rmSync(join(ASSETS, path), { force: true });
  }
  for (const [path, source] of sources) {
    if (!made.has(path)) update(join(ASSETS, path), readFileSync(source));
  }
  for (const [path, content] of made) update(join(ASSETS, path), content);
}

/** The console as Vite has made it: without the file that says what it was made from. */
function consoleFiles() {
  return filesBelow(CONSOLE_DIST).filter((path) => !path.startsWith("."));
}

/** The game's settings, with the key that `npm start` has made for it. */
function gameConfig() {
  const key = readOrganisation()?.game_key ?? "";
  const config = readFileSync(join(GAME, "config.js"), "utf8");
  return Buffer.from(config.replace('key = ""', `key = "${key}"`));
}

/** Writes a file unless it has this content. Nobody sees half of it. */
function update(path, content) {
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = join(ROOT, "dist", `unfinished-${process.pid}`);
  writeFileSync(unfinished, content);
  renameSync(unfinished, path);
}
