/**
 * `npm run build:relay-node`: the relay node as a single file, which Node 24 runs with nothing installed.
 * `npm run relay-node` makes it too, before it runs it.
 */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, ROOT, readOptions } from "./setup.mjs";

/** Where the file is. */
export const RELAY_NODE = join(ROOT, "dist/relay-node.mjs");

/** Makes the file. It ends the script if that fails, with esbuild's own message. */
export async function buildRelayNode() {
  ensureInstalled();
  const { build } = await import("esbuild");
  // Somebody else may be reading the file, or making it.
  const unfinished = `${RELAY_NODE}.${process.pid}`;
  await build({
    entryPoints: [join(ROOT, "relay-node/main.ts")],
    outfile: unfinished,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    // ws would use these two if somebody had installed them; it does without.
    external: ["bufferutil", "utf-8-validate"],
    // Packages that are CommonJS ask for Node's modules with `require`, which a module does not have.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    legalComments: "inline",
    logLevel: "warning",
  });
  renameSync(unfinished, RELAY_NODE);
}

if (process.argv[1] === import.meta.filename) {
  readOptions();
  await buildRelayNode();
  console.log("dist/relay-node.mjs is made. Run it with Node 24: node relay-node.mjs --help");
}
