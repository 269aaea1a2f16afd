import { measureSpeed } from "./speed.mjs";
import { buildWorker } from "./server.mjs";
const built = buildWorker(".");
try {
  console.log(await measureSpeed(built, { rounds: 1, count: 8 }));
} finally {
  built.remove();
}
process.exit();
