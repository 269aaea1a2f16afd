/** The console in Chromium: who is signed in, what a page must hold everywhere, and what stands behind it. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { BrowserContextOptions } from "playwright-core";
import { expect } from "vitest";
import { Api } from "./api";
import type { Tab, TestBrowser } from "./browser";
import { eventually } from "./eventually";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core calls violations that somebody cannot get past. */
const GRAVE = ["serious", "critical"];

/** An organisation of a test, and its first key, which may do everything. */
export interface TestOrganisation {
  id: number;
  name: string;
  key: string;
  /** Calls the API with that key. */
  api: Api;
}

/** A new organisation. */
export async function newOrganisation(
  { server }: TestBrowser,
  name = "Studio",
): Promise<TestOrganisation> {
  const { id, api_key: apiKey } = await server.newOrganisation(name);
  return { id, name, key: apiKey.token, api: new Api(server, apiKey.token) };
}

/**
 * A new key of the organisation that can sign in, and may do this besides.
 * @param permissions such as `devices:list`
 */
export async function newSignInKey(
  { id, api }: TestOrganisation,
  permissions: readonly string[],
  name = "Operator",
): Promise<{ id: number; token: string }> {
  const made = await api.call("POST", "/api-keys", {
    name,
    emails: [],
    organizationsIds: [id],
    permissions: [...new Set(["operator:sign-in", ...permissions])],
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return { id: made.body.id, token: made.body.token.value };
}

/** As `newSignInKey`, of a key that acts in both organisations: the second one is added in D1. */
export async function newKeyOfBoth(
  browser: TestBrowser,
  [first, second]: readonly [TestOrganisation, TestOrganisation],
  permissions: readonly string[],
): Promise<{ id: number; token: string }> {
  const key = await newSignInKey(first, permissions, "Both");
  const { DB } = await browser.server.bindings();
  await DB.batch([
    DB.prepare("update api_keys set organisation_ids = ? where id = ?").bind(
      JSON.stringify([first.id, second.id]),
      key.id,
    ),
    DB.prepare(
      "insert into organisation_keys (organisation_id, key_id, created_at) values (?, ?, 0)",
    ).bind(second.id, key.id),
  ]);
  return key;
}

/** How a person sits before the console. */
export interface Seat extends BrowserContextOptions {
  /** The API key to sign in with. */
  key: string;
  /** Where they are, such as `#/devices`; left out: the first page. */
  hash?: string;
}

/** A new tab, signed in as a person does it: with the form. */
export async function openConsole(browser: TestBrowser, seat: Seat): Promise<Tab> {
  const { key, hash = "", ...options } = seat;
  const tab = await browser.open({ viewport: { width: 1280, height: 860 }, ...options });
  const { page } = tab;
  await page.goto(`/console${hash}`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  return tab;
}

/** Opens a page of the console, such as `#/devices`, in a tab that is signed in. */
export async function goTo({ page }: Tab, hash: string): Promise<void> {
  await page.evaluate(`new Promise((changed) => {
    if (location.hash === ${JSON.stringify(hash)}) return changed();
    addEventListener("hashchange", () => changed(), { once: true });
    location.hash = ${JSON.stringify(hash)};
  })`);
  await expectLoaded({ page });
}

/** Waits until what the page shows has been answered: nothing says "Loading …". */
export async function expectLoaded({ page }: Pick<Tab, "page">): Promise<void> {
  await page.getByRole("heading", { level: 1 }).waitFor();
  // Not waitForFunction: between its tries the page's policy allows it no eval.
  await eventually(async () => {
    const loading = await page.evaluate(
      `[...document.querySelectorAll(".starting, .freshness")]
        .filter((each) => each.textContent.includes("Loading")).length`,
    );
    expect(loading, `${page.url()} is loading`).toBe(0);
  });
}

/**
 * What holds on every page: nothing asks another origin, nothing is refused by the
 * Content-Security-Policy and nothing throws, it does not scroll sideways, and axe-core finds nothing grave.
 * What does not hold fails the test at its end, so that one run says all.
 * @param allowed console messages that are expected, such as `503`: Chromium writes one for each failed request
 */
export async function expectNoProblems(
  browser: TestBrowser,
  { page, errors, requests }: Tab,
  { allowed = [] }: { allowed?: readonly RegExp[] } = {},
): Promise<void> {
  const where = page.url();
  // Taken away, so that the next page of the same tab is not blamed for them.
  const unexpected = errors.splice(0).filter((error) => !allowed.some((each) => each.test(error)));
  expect.soft(unexpected, where).toEqual([]);
  const elsewhere = requests.filter((url) => new URL(url).host !== new URL(browser.origin).host);
  expect.soft(elsewhere, where).toEqual([]);
  const tooWide = await page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  expect.soft(tooWide, `${where} scrolls sideways`).toBe(0);
  expect.soft(await graveViolations({ page }), where).toEqual([]);
}

/** What axe-core finds that is serious or critical: each with the elements. */
export async function graveViolations({ page }: Pick<Tab, "page">): Promise<string[]> {
  // Through the debugger: the page's policy allows no such script.
  if (!(await page.evaluate("'axe' in window"))) await page.evaluate(AXE);
  const { violations } = (await page.evaluate("axe.run(document)")) as {
    violations: { id: string; impact: string; help: string; nodes: { html: string }[] }[];
  };
  return violations
    .filter(({ impact }) => GRAVE.includes(impact))
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" | ")}`);
}
