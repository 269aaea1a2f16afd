import { globSync, readFileSync } from "node:fs";
import { roomRules } from "./scripts/rooms.mjs";

/** A file calls itself pure by a sentence of its first comment: "Pure." or "Pure: …". */
const pure = globSync("src/**/*.ts").filter((path) => {
  const [header = ""] = /^\/\*\*[\s\S]*?\*\//.exec(readFileSync(path, "utf8")) ?? [];
  return /\bPure[.:]/.test(header);
});

export default {
  forbidden: roomRules({ pure }),
  options: {
    // Imports of types are imports. swc reads them: TypeScript 7 has no parser for JavaScript programs.
    tsPreCompilationDeps: true,
    parser: "swc",
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
  },
};
