/** Makes the relay part of `drawbridge-client` one file with all that it needs, for pages without a build step. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The licence of the one package in it, which has to go with it. */
export const RELAY_LICENCE = join(ROOT, "node_modules/partysocket/LICENSE.txt");

/** The file's content. It throws esbuild's error if that fails. */
export function bundleRelay() {
  // Asked for late: scripts that import this one may install it first.
  const { buildSync } = createRequire(import.meta.url)("esbuild");
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, "client/src/relay.ts")],
    write: false,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    // partysocket explains on the console what cannot happen here, such as a missing WebSocket.
    drop: ["console"],
    // partysocket's private fields begin so, and nothing else does.
    mangleProps: /^_/,
    banner: { js: "/* drawbridge-client/relay. Its licences: relay.js.LICENSE.txt */" },
    logLevel: "warning",
  });
  return Buffer.from(outputFiles[0].contents);
}
