/** The package `drawbridge-client` as it is published: its size, its entries, what it needs. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";
import { expect, test } from "vitest";
import { bundleRelay } from "../../scripts/bundle-relay.mjs";

const manifest = JSON.parse(readFileSync("client/package.json", "utf8"));

test("the file that the Worker serves has at most 6 KB gzipped, with all that it needs", () => {
  const file = bundleRelay();
  expect(gzipSync(file, { level: 9 }).length).toBeLessThanOrEqual(6_000);
  expect(file.toString()).not.toMatch(/\b(import|require)\s*[("']/);
});

test("each entry is an ES module of its own, for which nothing but partysocket has to be installed", () => {
  expect(manifest.dependencies).toEqual({ partysocket: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  for (const { default: file, types } of Object.values<{ default: string; types: string }>(
    manifest.exports,
  )) {
    const text = readFileSync(`client/${file}`, "utf8");
    const imported = [...text.matchAll(/^(?:import|export) .*from "([^"]+)"/gm)].map(
      ([, name]) => name,
    );
    expect(imported).toEqual(file.includes("relay") ? ["partysocket/ws"] : []);
    expect(readFileSync(`client/${types}`, "utf8")).toMatch(/export/);
  }
});

test("a program gets no more than it uses: one call of the API takes a fraction of all", () => {
  const bundle = (contents: string) =>
    buildSync({
      stdin: { contents, resolveDir: "client" },
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
    }).outputFiles[0]?.contents.length ?? 0;
  const one = bundle('export { getHealth } from "drawbridge-client"');
  const all = bundle('export * from "drawbridge-client"');
  expect(one).toBeLessThan(all / 2);
});

test("its version is that of the service", () => {
  expect(manifest.version).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
});
