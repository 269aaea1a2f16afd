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
import { join } from "node:path";
import { ROOT } from "./setup.mjs";

/** The file in a made folder that says what it was made from. */
const STAMP = ".made-from";

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
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === madeFrom) return;
  const unfinished = unfinishedFolder();
  await make(unfinished);
  writeFileSync(join(unfinished, STAMP), madeFrom);
  replaceFolder(unfinished, folder);
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
  try {
    renameSync(from, to);
  } catch (error) {
    // Somebody else has made the same folder meanwhile: it does not matter whose it is.
    if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    rmSync(from, { recursive: true, force: true });
  }
}

function hashFiles(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update("\0").update(readFileSync(file));
  return hash.digest("hex");
}
