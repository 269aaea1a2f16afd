/** How much a person loads before they see the first page of the console: what Chromium asks for, gzipped. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { filesBelow } from "../../scripts/made-folder.mjs";
import { startBrowser, type TestBrowser } from "../support/browser";
import { expectLoaded, newOrganisation, openConsole } from "../support/console";

/** Where the files are that the Worker serves. */
const SERVED = "dist/assets";
/** A name of a class that uPlot gives its elements. */
const OF_UPLOT = "u-over";

let browser: TestBrowser;

beforeAll(async () => {
  browser = await startBrowser();
});

afterAll(() => browser?.close());

/** The file behind a path that was asked for. */
function fileOf(path: string): Buffer {
  return readFileSync(join(SERVED, path === "/console" ? "/console/index.html" : path));
}

test("signing in and the first page load at most 60 KB of documents, scripts and styles, and no plot", async () => {
  const { key } = await newOrganisation(browser);
  const tab = await openConsole(browser, { key });
  await expectLoaded(tab);
  const paths = new Set(tab.requests.map((url) => new URL(url).pathname));
  const files = [...paths].filter((path) => path === "/console" || /\.(js|css|svg)$/.test(path));
  // The page, its script and its style, and a script of the first page of the navigation.
  expect(files.length).toBeGreaterThanOrEqual(4);
  expect(files.filter((path) => path.includes("pairing-page"))).not.toEqual([]);
  const sizes = files.map((path) => [path, gzipSync(fileOf(path), { level: 9 }).length] as const);
  const all = sizes.reduce((sum, [, size]) => sum + size, 0);
  expect(all, JSON.stringify(sizes)).toBeLessThanOrEqual(60_000);
  expect(files.filter((path) => fileOf(path).includes(OF_UPLOT))).toEqual([]);
});

test("the plot is in files of its own, for the page that draws one", () => {
  const scripts = filesBelow(join(SERVED, "console"))
    .map(String)
    .filter((path) => path.endsWith(".js"));
  const withPlot = scripts.filter((path) => fileOf(join("/console", path)).includes(OF_UPLOT));
  expect(withPlot.length).toBe(1);
});
