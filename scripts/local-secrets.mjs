/** The secrets of `npm start` on this machine: the file `.dev.vars`, which wrangler reads. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

const DEV_VARS = join(ROOT, ".dev.vars");

/** Fresh secrets, once. A file that is there is left alone: the Worker says what it lacks. */
export function writeDevVars() {
  if (existsSync(DEV_VARS)) return;
  const secret = () => randomBytes(32).toString("base64url");
  writeFileSync(
    DEV_VARS,
    "# Made by `npm start` for this machine only.\n" +
      `DRAWBRIDGE_SECRET="${secret()}"\n` +
      `DRAWBRIDGE_ROOT_TOKEN="${secret()}"\n` +
      "# Webhooks may go to http:// and to this machine.\n" +
      'ALLOW_INSECURE_WEBHOOKS="1"\n',
    { mode: 0o600, flag: "wx" },
  );
}

/** The root token of that file. */
export function readRootToken() {
  const match = /^\s*DRAWBRIDGE_ROOT_TOKEN\s*=\s*(["']?)(.*?)\1\s*$/m.exec(
    readFileSync(DEV_VARS, "utf8"),
  );
  return match?.[2] ?? "";
}
