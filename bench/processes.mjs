/**
 * What the processes of the runtime have used, as Linux says in `/proc`. Elsewhere all answers are null, and the
 * bench shows times only.
 */
import { readdir, readFile } from "node:fs/promises";

/** The processes that this one has started, by id. */
export async function childProcesses() {
  const found = [];
  for (const name of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    // The name in brackets may have spaces. After it: the state, and the parent.
    const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(parent) === process.pid) found.push(Number(name));
  }
  return found;
}

/** How long a process has been on a CPU, with all its threads, in milliseconds. */
export async function cpuMs(pid) {
  if (pid === null) return null;
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const each = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, "utf8").catch(() => "0")),
  );
  if (each.length === 0) return null;
  return each.reduce((sum, text) => sum + Number(text.split(" ")[0]), 0) / 1e6;
}

/** The memory that a process holds now, in megabytes. */
export async function memoryMb(pid) {
  if (pid === null) return null;
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kb = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kb === undefined ? null : Number(kb) / 1_024;
}
