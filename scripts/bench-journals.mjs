/** `npm run bench:journals`: installs what is missing, then measures on the bundled Node. */
import { ensureInstalled, fail, readOptions, runNode } from "./setup.mjs";

const options = readOptions({
  before: {
    type: "string",
    usage: "--before <folder>  measures the checkout in that folder as well, in turns",
  },
  part: { type: "string", usage: "--part <name>      one part only: sizes, delays or burst" },
  scale: {
    type: "string",
    usage: "--scale <number>   a share of everything, such as 0.05: to try the bench itself",
  },
});
const PARTS = ["sizes", "delays", "burst"];
if (options.part !== undefined && !PARTS.includes(options.part)) {
  fail(`There is no part "${options.part}". The parts are ${PARTS.join(", ")}.`);
}
ensureInstalled();
if (!(Number(options.scale ?? 1) > 0)) fail("--scale takes a number above 0, such as 0.05.");
const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
const { code } = await runNode(["bench/journals.mjs", ...args]);
process.exitCode = code;
