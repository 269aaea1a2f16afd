/** What the relay node takes from the Worker's code. */
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { expect, test } from "vitest";

test("the relay node imports pure files of src/ only", async () => {
  const { metafile } = await build({
    entryPoints: ["relay-node/main.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    write: false,
    metafile: true,
  });
  const files = Object.keys(metafile.inputs).filter((path) => path.startsWith("src/"));
  expect(files).toContain("src/relay-nodes/link-protocol.ts");
  for (const file of files) {
    const [header] = /^\/\*\*[\s\S]*?\*\//.exec(readFileSync(file, "utf8")) ?? [""];
    expect({ file, isPure: /\bPure[.:]/.test(header) }).toEqual({ file, isPure: true });
  }
});
