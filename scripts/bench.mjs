/** `npm run bench`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, fail, readOptions, runNode } from "./setup.mjs";

const { quick, accept, part, before } = readOptions({
  quick: {
    type: "boolean",
    usage: "--quick            small sizes: compares counts and growth, in less than two minutes",
  },
  part: {
    type: "string",
    usage: "--part <name>      one part only: speed, counts, growth or load",
  },
  accept: {
    type: "boolean",
    usage: "--accept           writes the counts that later runs are compared with",
  },
  before: {
    type: "string",
    usage: "--before <folder>  measures the speed of the checkout in that folder as well, in turns",
  },
});
const PARTS = ["speed", "counts", "growth", "load"];
if (part !== undefined && !PARTS.includes(part)) {
  fail(`There is no part "${part}". The parts are ${PARTS.join(", ")}.`);
}
ensureInstalled();
const args = [
  ...(quick ? ["--quick"] : []),
  ...(accept ? ["--accept"] : []),
  ...(part ? ["--part", part] : []),
  ...(before ? ["--before", before] : []),
];
const { code } = await runNode(["bench/bench.mjs", ...args]);
process.exitCode = code;
