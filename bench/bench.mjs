import { measureGrowth, checkGrowth } from "./growth.mjs";
import { buildWorker } from "./server.mjs";
const built = buildWorker(".");
try {
  const c = await measureGrowth(built, process.argv.slice(2).map(Number));
  for (const r of c) console.log(r.name.padEnd(90), r.read.join(" "), r.grows);
  console.log(checkGrowth(c).filter(x=>x.problem));
} finally {
  built.remove();
}
process.exit();
