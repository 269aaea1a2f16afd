/** Folders that scripts make from sources: made anew only when a source has changed, and never seen half made. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ROOT } from "./setup.mjs";

/** The file in a made folder that says what it was made from. */
const STAMP = ".made-from";
/** How long one process waits for another that makes the same folder. */
const MADE_WITHIN_MS = 300_000;

/** The paths of all files below a folder, relative to it. */
export function filesBelow(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
}

/**
 * Makes `folder`, unless it was made from the same files.
 * @param inputs the paths of all files that it is made from
 * @param make writes it, into the folder that it is given
 */
export async function makeFolder(folder, inputs, make) {
  const madeFrom = hashFiles(inputs);
  const stamp = join(folder, STAMP);
  const isMade = () => existsSync(stamp) && readFileSync(stamp, "utf8") === madeFrom;
  if (isMade()) return;
  await alone(`${basename(dirname(folder))}-${basename(folder)}`, async () => {
    if (isMade()) return;
    const unfinished = unfinishedFolder();
    try {
      await make(unfinished);
      writeFileSync(join(unfinished, STAMP), madeFrom);
      replaceFolder(unfinished, folder);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
  });
}

/** Runs `work` while no other process runs work of this name: `wrangler dev` builds whenever a source changes. */
async function alone(name, work) {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const lock = join(ROOT, "dist", `${name}.lock`);
  const deadline = Date.now() + MADE_WITHIN_MS;
  while (!take(lock)) {
    if (!isRunning(lock)) rmSync(lock, { force: true });
    else if (Date.now() > deadline)
      throw new Error(`Another process does not finish. If none runs, delete ${lock}.`);
    await wait(100);
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

/** Whether the process that has the lock still runs: one that was killed leaves its lock. */
function isRunning(lock) {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return true;
  } catch (error) {
    // Only this says that it has ended: the lock may also have gone this moment.
    return error.code !== "ESRCH";
  }
}

/** An empty folder for what is being made. */
export function unfinishedFolder() {
  const folder = join(
    ROOT,
    "dist",
    `unfinished-${process.pid}-${Math.random().toString(36).slice(2)}`,
  );
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Puts a folder in the place of another. */
export function replaceFolder(from, to) {
  rmSync(to, { recursive: true, force: true });
  renameSync(from, to);
}

function hashFiles(files) {
  const hash = createHash("sha256");
  for (const file of files) {
    // From the root on, so that a copy of the whole is up to date, too.
    hash.update(relative(ROOT, file)).update("\0").update(readFileSync(file));
  }
  return hash.digest("hex");
}
