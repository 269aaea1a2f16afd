/** What holds on every page of the console, whatever it shows. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  goTo,
  graveViolations,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";
import { newFullOrganisation } from "../support/full-organisation";
import { fillLists } from "../support/many-rows";

const WIDE = { viewport: { width: 1280, height: 860 } };
const NARROW = { viewport: { width: 360, height: 740 } };
const SEATS = [
  ["on a wide screen, light", { ...WIDE, colorScheme: "light" }],
  ["on a narrow screen, light", { ...NARROW, colorScheme: "light" }],
  ["on a wide screen, dark", { ...WIDE, colorScheme: "dark" }],
  ["on a narrow screen, dark", { ...NARROW, colorScheme: "dark" }],
] as const;

let browser: TestBrowser;
let empty: TestOrganisation;
let full: TestOrganisation;

beforeAll(async () => {
  browser = await startBrowser({ settings: { ALLOW_INSECURE_WEBHOOKS: "1" } });
  empty = await newOrganisation(browser, "Empty");
  full = await newFullOrganisation(browser);
  await fillLists(browser.server, full.id, 1_000);
});

afterAll(() => browser?.close());

/** The pages, as the navigation names them: what stands in it, and where it leads. */
async function pagesOf({ page }: Tab): Promise<{ title: string; hash: string }[]> {
  const links = await page
    .getByRole("navigation", { name: "Pages of the console" })
    .getByRole("link")
    .all();
  expect(links.length).toBeGreaterThan(7);
  return Promise.all(
    links.map(async (link) => ({
      title: await link.innerText(),
      hash: (await link.getAttribute("href")) ?? "",
    })),
  );
}

/** Where the page leads to one thing of its own, such as `#/devices/pa-1/3f…`; null: nowhere. */
function detailOf({ page }: Tab, hash: string): Promise<string | null> {
  const link = `main a[href^=${JSON.stringify(`${hash}/`)}]`;
  return page.evaluate(
    `document.querySelector(${JSON.stringify(link)})?.getAttribute("href") ?? null`,
  );
}

describe.each(SEATS)("%s,", (_, seat) => {
  test("every page is in order while there is nothing to show", async () => {
    const tab = await openConsole(browser, { key: empty.key, ...seat });
    for (const { hash } of await pagesOf(tab)) {
      await goTo(tab, hash);
      await expectNoProblems(browser, tab);
    }
  });

  test("every page, and one of what it lists, is in order with long names and a thousand rows", async () => {
    const tab = await openConsole(browser, { key: full.key, ...seat });
    for (const { hash } of await pagesOf(tab)) {
      await goTo(tab, hash);
      await expectNoProblems(browser, tab);
      const detail = await detailOf(tab, hash);
      if (detail === null) continue;
      await goTo(tab, detail);
      await expectNoProblems(browser, tab);
    }
    // Nothing of what others wrote has become an element.
    expect(await tab.page.locator("img[src=x]").count()).toBe(0);
  });
});

test("text becomes no markup, whoever tries: the browser refuses it", async () => {
  const { page } = await openConsole(browser, { key: empty.key });
  await expect(page.evaluate("document.body.innerHTML = '<b>text</b>'")).rejects.toThrow(
    "requires 'TrustedHTML'",
  );
});

test("what nobody can read or see is found", async () => {
  const tab = await openConsole(browser, { key: empty.key });
  await tab.page.evaluate(`(() => {
    const picture = document.createElement("img");
    picture.src = "/shared/icon.svg";
    document.querySelector("main").append(picture);
  })()`);
  expect(await graveViolations(tab)).toEqual([expect.stringMatching(/^image-alt: /)]);
});

test("no page shows more than a page of a long list", async () => {
  const tab = await openConsole(browser, { key: full.key });
  for (const { hash } of await pagesOf(tab)) {
    await goTo(tab, hash);
    const rows = await tab.page.locator("main table.list > tbody > tr").count();
    expect.soft([hash, rows <= 120], `${rows} rows`).toEqual([hash, true]);
  }
});

test("every page says so, where the service fails, and is in order", async () => {
  const tab = await openConsole(browser, { key: full.key });
  const pages = await pagesOf(tab);
  const words = "Drawbridge cannot do this now: the database does not answer.";
  await tab.page.route(/\/(?!console|shared)[^/]*/, (route) => {
    const { pathname } = new URL(route.request().url());
    if (/^\/(console|shared)/.test(pathname)) return route.continue();
    const problem = { status: 503, code: "unavailable", detail: words, message: words };
    return route.fulfill({ status: 503, json: problem });
  });
  for (const { hash } of pages) {
    await goTo(tab, hash);
    await tab.page.locator("main").getByText(words).first().waitFor();
    await expectNoProblems(browser, tab, { allowed: [/status of 503/] });
  }
});

test("who may only sign in sees the name of each page, and what is missing to see it", async () => {
  const { token } = await newSignInKey(full, []);
  const tab = await openConsole(browser, { key: token });
  for (const { title, hash } of await pagesOf(tab)) {
    await goTo(tab, hash);
    await tab.page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
    await tab.page.getByText(/it needs [a-z-]+:[a-z]+/).waitFor();
    await expectNoProblems(browser, tab);
  }
  const called = tab.requests.map((url) => new URL(url).pathname);
  expect(called.filter((path) => !/^\/(console|shared|v1\/auth)/.test(path))).toEqual([]);
});

describe("with the keyboard alone,", () => {
  test("the person signs in, skips the navigation, and opens a page", async () => {
    const { page } = await browser.open(WIDE);
    await page.goto("/console");
    await page.getByLabel("API key").waitFor();
    const isThere = () => page.evaluate("document.activeElement.tagName === 'INPUT'");
    for (let n = 0; n < 10 && !(await isThere()); n++) await page.keyboard.press("Tab");
    await page.keyboard.type(full.key);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    await page.getByRole("button", { name: "Skip to the page" }).focus();
    await page.keyboard.press("Enter");
    expect(await page.evaluate("document.activeElement.id")).toBe("main");
    await page.getByRole("link", { name: "API keys" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
  });

  test("every page lets Tab reach all that can be pressed or filled in, shows where it is, and lets it leave", async () => {
    const tab = await openConsole(browser, { key: full.key });
    for (const { hash } of await pagesOf(tab)) {
      await goTo(tab, hash);
      expect.soft(await walkWithTab(tab), hash).toEqual({ missed: [], unseen: [], left: true });
    }
  });
});

interface Walk {
  /** What Tab did not reach. */
  missed: string[];
  /** What was reached, and did not show it. */
  unseen: string[];
  /** Whether Tab leads out of the page at its end. */
  left: boolean;
}

/** Presses Tab from the beginning of the page until it leaves it. */
async function walkWithTab({ page }: Tab): Promise<Walk> {
  await page.evaluate(`(() => {
    document.activeElement?.blur();
    getSelection().removeAllRanges();
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    window.wanted = new Set([...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
      .filter((each) => !each.disabled && each.checkVisibility() && !each.closest("dialog:not([open])")));
    window.reached = new Set();
    window.seen = new Set();
    window.first = null;
  })()`);
  // Only for a page that never lets go. Rows may come while Tab is pressed, so their number is no bound.
  const most = 1_000;
  let left = false;
  for (let pressed = 0; pressed < most && !left; pressed++) {
    await page.keyboard.press("Tab");
    left = (await page.evaluate(`(() => {
      const at = document.activeElement;
      // Behind the last one comes the browser itself, and then the first one again.
      if (at === document.body || at === window.first) return true;
      window.first ??= at;
      reached.add(at);
      const style = getComputedStyle(at);
      const isOutlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
      // A field for a date has several stops: at its last one Chromium marks the button in it.
      if (isOutlined || style.boxShadow !== "none") seen.add(at);
      return false;
    })()`)) as boolean;
  }
  const [missed, unseen] = (await page.evaluate(`(() => {
    const named = (elements) => elements.map((each) => each.outerHTML.slice(0, 200));
    const missed = [...wanted].filter((each) => each.isConnected && !reached.has(each));
    return [named(missed), named([...reached].filter((each) => !seen.has(each)))];
  })()`)) as [string[], string[]];
  return { missed, unseen, left };
}
