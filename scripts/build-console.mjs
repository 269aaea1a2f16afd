/**
 * Makes the console, `dist/console`, with Vite: what is served at /console. What is up to date is left alone.
 * `build-pages.mjs` runs it.
 */
import { join } from "node:path";
import { buildClient } from "./build-client.mjs";
import { filesBelow, makeFolder } from "./made-folder.mjs";
import { ROOT } from "./setup.mjs";

const CONSOLE = join(ROOT, "console");

/** Rules of the service that the console shares: pure files. */
const RULES = ["src/devices/scopes.ts", "src/keys/permissions.ts"];

/** Where the console is made. */
export const CONSOLE_DIST = join(ROOT, "dist/console");

/** Makes `dist/console`, unless it is up to date. It throws what Vite throws. */
export async function buildConsole() {
  await buildClient();
  const inputs = [
    ...filesBelow(CONSOLE)
      .sort()
      .map((path) => join(CONSOLE, path)),
    join(ROOT, "pages/shared/style.css"),
    ...RULES.map((path) => join(ROOT, path)),
    join(ROOT, "client/dist/.made-from"),
    join(ROOT, "package-lock.json"),
    import.meta.filename,
  ];
  await makeFolder(CONSOLE_DIST, inputs, async (outDir) => {
    // Imported late: it may have been installed only now.
    const { build } = await import("vite");
    await build({ root: CONSOLE, build: { outDir, emptyOutDir: true } });
  });
}
