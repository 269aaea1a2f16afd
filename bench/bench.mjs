import { measureCounts, acceptCounts } from "./counts.mjs";
import { buildWorker } from "./server.mjs";
const built = buildWorker(".");
try {
  const c = await measureCounts(built, 3);
  console.table(c);
  acceptCounts(c);
} finally {
  built.remove();
}
process.exit();
