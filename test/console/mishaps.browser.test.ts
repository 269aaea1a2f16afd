/** What comes between a person and the service: slow and lost answers, haste, a wrong clock, and other people. */
import { spawnSync } from "node:child_process";
import type { Page, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectLoaded,
  expectNoProblems,
  goTo,
  newKeyOfBoth,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";

/** Addresses that the console never makes. */
const ADDRESSES = [
  "#//",
  "#/%",
  "#/%E0%A4%A",
  "#/..",
  "#/keys/..",
  "#/keys/NaN",
  "#/keys/1e3",
  "#/keys/-1",
  "#/keys/%00",
  "#/sessions/.",
  "#/sessions/%2e%2e",
  "#/sessions/%2F..%2F",
  "#/devices/a/b/c/d",
  "#/devices/%F0%9F%98%80/%E2%80%AE",
  "#/permissions/pair/%F0%9F%98%80/x",
  "#/permissions/list/%22%3E",
  "#/permissions/constructor",
  "#/events/__proto__",
  "#/webhooks/deliveries/filter/status=x&event_type=y&endpoint=z&event=w",
  "#/webhooks/a/recoveries/b",
  "#/relay-nodes/%2e",
  "#/source-sessions/constructor",
  `#/events/${"x".repeat(5_000)}`,
  "#/constructor",
  "#code=",
  `#/webhooks/deliveries/filter/endpoint=${"W".repeat(3_000)}`,
  `#/${"x".repeat(60_000)}`,
  "#/events/filter/type=%F0&since=never",
];

let browser: TestBrowser;
let studio: TestOrganisation;
let other: TestOrganisation;

beforeAll(async () => {
  browser = await startBrowser();
  studio = await newOrganisation(browser, "Studio");
  other = await newOrganisation(browser, "Second studio");
});

afterAll(() => browser?.close());

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });
const signOutButton = ({ page }: Tab) => page.getByRole("button", { name: "Sign out" });

/** Holds the answer to the next GET of this address back, until it is let go. */
async function hold({ page }: Tab, url: string) {
  let letGo = () => {};
  const released = new Promise<void>((go) => {
    letGo = go;
  });
  let heard = () => {};
  const held = new Promise<void>((hear) => {
    heard = hear;
  });
  let isFirst = true;
  await page.route(url, async (route) => {
    if (!isFirst || route.request().method() !== "GET") return route.fallback();
    isFirst = false;
    const response = await route.fetch({ url: fromHere(route.request().url()) });
    heard();
    await released;
    await route.fulfill({ response });
  });
  return { held, letGo };
}

/** The address at which this process reaches what the browser calls so. */
function fromHere(url: string): string {
  return url.replace(browser.origin, browser.server.origin);
}

/** Lets the next POST to this address reach the service, and loses the answer. */
async function loseAnswer({ page }: Tab, url: string): Promise<void> {
  let lost = false;
  await page.route(url, async (route: Route) => {
    if (lost || route.request().method() !== "POST") return route.fallback();
    lost = true;
    await route.fetch({ url: fromHere(route.request().url()) });
    await route.abort("connectionreset");
  });
}

/** How many names of the list are this one. */
async function countNamed(path: string, name: string): Promise<number> {
  const { body } = await studio.api.call("GET", path);
  const rows: { name: string }[] = Array.isArray(body) ? body : body.data;
  return rows.filter((row) => row.name === name).length;
}

describe("the session of the person", () => {
  test("does not end because a relay session has", async () => {
    const { body: session } = await studio.api.create(2);
    const id = session.session_id;
    const tab = await openConsole(browser, { key: studio.key, hash: `#/sessions/${id}` });
    const { page } = tab;
    await page.getByRole("row").filter({ hasText: "host" }).first().waitFor();
    // The page has not heard of the end yet.
    await page.route(`**/v1/relays/sessions/${id}?*`, (route) => route.abort());
    await studio.api.call("DELETE", `/v1/relays/sessions/${id}`);
    await button(page, "Revoke").first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByText("The session has ended").waitFor();
    expect(await signOutButton(tab).count()).toBe(1);
  });

  test("is over for this tab after signing out, even if an answer comes later", async () => {
    const tab = await openConsole(browser, {
      key: (await newKeyOfBoth(browser, [studio, other], ["*"])).token,
    });
    const { page } = tab;
    const { held, letGo } = await hold(tab, "**/v1/auth/session-tokens");
    await page.getByLabel("Organisation").selectOption(String(other.id));
    await held;
    await signOutButton(tab).click();
    await page.getByText("You have signed out").waitFor();
    const answered = page.waitForResponse("**/v1/auth/session-tokens");
    letGo();
    await answered;
    await page.evaluate("new Promise((go) => setTimeout(go, 50))");
    expect(await signOutButton(tab).count()).toBe(0);
    expect(await page.evaluate("Object.keys(sessionStorage)")).toEqual([]);
  });

  test("acts in the organisation that is shown, until the other one is", async () => {
    const tab = await openConsole(browser, {
      key: (await newKeyOfBoth(browser, [studio, other], ["*"])).token,
      hash: "#/devices",
    });
    const { page } = tab;
    await page.getByLabel("Name").fill("Of the first");
    const { held, letGo } = await hold(tab, "**/v1/auth/session-tokens");
    await page.getByLabel("Organisation").selectOption(String(other.id));
    await held;
    await button(page, "Make the application").click();
    await expect.poll(() => countNamed("/v1/applications", "Of the first")).toBe(1);
    letGo();
    await expect.poll(() => page.getByLabel("Organisation").inputValue()).toBe(String(other.id));
  });

  test("begins with a code behind which something else stands in the address", async () => {
    const { id } = await newSignInKey(studio, []);
    const response = await fetch(new URL("/v1/auth/sign-in-codes", browser.server.origin), {
      method: "POST",
      headers: { Authorization: `Bearer ${process.env.DRAWBRIDGE_ROOT_TOKEN}` },
      body: JSON.stringify({ key_id: id }),
    });
    const { code } = (await response.json()) as { code: string };
    const tab = await browser.open();
    await tab.page.goto(`/console#code=${code}.&from=mail`);
    await signOutButton(tab).waitFor();
    expect(tab.page.url()).toBe(`${browser.origin}/console`);
  });
});

describe("a network that loses and delays", () => {
  test("makes nothing twice: an API key whose answer was lost is shown when the form is sent again", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys/new" });
    const { page } = tab;
    await page.getByLabel("Name", { exact: true }).fill("Made once");
    await page.locator("main input[type=checkbox]").first().check();
    await loseAnswer(tab, "**/api-keys");
    await button(page, "Make the key").click();
    await page.getByRole("alert").getByText("cannot be reached").waitFor();
    await button(page, "Make the key").click();
    await page.getByRole("heading", { name: "The new API key" }).waitFor();
    expect(await countNamed("/api-keys", "Made once")).toBe(1);
  });

  test("has one call of a list under way at most, however often the tab is looked at", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    const { page } = tab;
    await page.getByRole("table").waitFor();
    let open = 0;
    let most = 0;
    await page.route("**/api-keys?*", async (route) => {
      open += 1;
      most = Math.max(most, open);
      await new Promise((go) => setTimeout(go, 300));
      open -= 1;
      await route.continue().catch(() => {});
    });
    await page.evaluate(`(async () => {
      let hidden = false;
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      for (let n = 0; n < 200; n++) {
        hidden = !hidden;
        document.dispatchEvent(new Event("visibilitychange"));
        await new Promise((go) => setTimeout(go, 5));
      }
    })()`);
    await expect.poll(() => open).toBe(0);
    expect(most).toBe(1);
  });

  test.each([
    ["text/html", "<h1>Sign in to this network</h1>"],
    ["application/json", '[{"id":1,'],
  ])("says so if what came is not an answer of the service: %s", async (contentType, body) => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    const { page } = tab;
    await page.getByRole("table").waitFor();
    await page.route("**/api-keys?*", (route) => route.fulfill({ contentType, body }));
    await page.getByRole("status").getByText("something between has answered").waitFor();
    await page.unroute("**/api-keys?*");
    await page.getByText("Updates by itself").waitFor();
    await expectNoProblems(browser, tab);
  });
});

describe("a person in haste", () => {
  test("does once what they press twice", async () => {
    const { body: node } = await studio.api.call("POST", "/v1/relay-nodes", { name: "Twice" });
    const tab = await openConsole(browser, { key: studio.key, hash: `#/relay-nodes/${node.id}` });
    const make = button(tab.page, "Make a new token");
    await make.click();
    await tab.page.getByRole("button", { name: /^Copy/ }).first().waitFor();
    // The answer came before the second click of a double click.
    await make.dispatchEvent("click", { detail: 2 });
    await make.dispatchEvent("click", { detail: 1 });
    const called = () =>
      tab.requests.filter((url) => url.includes(node.id) && url.includes("rotate")).length;
    await expect.poll(called).toBe(2);
    await tab.page.reload();
    expect(called()).toBe(2);
  });

  test("without a clipboard is told to copy by hand", async () => {
    const tab = await browser.open();
    // As in a page that came over plain HTTP.
    await tab.page.addInitScript(
      "Object.defineProperty(navigator, 'clipboard', { value: undefined })",
    );
    await signIn(tab, "#/sessions");
    await button(tab.page, /^Copy/).first().click();
    await tab.page.getByRole("alert").getByText("copy it by hand").waitFor();
    await expectNoProblems(browser, tab);
  });

  test.each([1999, 2050])("with a clock of the year %i sees the right times", async (year) => {
    const tab = await browser.open();
    await tab.page.clock.install({ time: new Date(`${year}-06-01T12:00:00Z`) });
    const { body: session } = await studio.api.create(2);
    await signIn(tab, `#/sessions/${session.session_id}`);
    await tab.page.getByRole("row").filter({ hasText: "host" }).first().waitFor();
    const text = await tab.page.locator("main").innerText();
    expect(text).not.toMatch(/\d{3,} d\b/);
    expect(text).not.toMatch(/Ends in\s+0:00/);
    await goTo(tab, "#/keys");
    expect(await tab.page.locator("main").innerText()).not.toMatch(/\d{3,} d\b/);
  });

  test("who opens two hundred pages leaves nothing running behind", async () => {
    const tab = await browser.open();
    await tab.page.addInitScript(`
      window.running = new Set();
      for (const kind of ["Timeout", "Interval"]) {
        const set = window["set" + kind];
        const clear = window["clear" + kind];
        window["set" + kind] = (call, ms, ...more) => {
          const id = set(() => { if (kind === "Timeout") running.delete(id); call(); }, ms, ...more);
          running.add(id);
          return id;
        };
        window["clear" + kind] = (id) => { running.delete(id); clear(id); };
      }
    `);
    await signIn(tab, "#/keys");
    await tab.page.getByRole("table").waitFor();
    await tab.page.evaluate(`(async () => {
      const names = ["pairing", "devices", "sessions", "source-sessions", "permissions", "webhooks",
        "webhooks/deliveries", "events", "relay-nodes", "keys"];
      for (let n = 0; n < 200; n++) {
        location.hash = "#/" + names[n % names.length];
        await new Promise((go) => setTimeout(go, 20));
      }
    })()`);
    // The calls of all these pages are answered first.
    await tab.page.getByRole("table").waitFor({ timeout: 90_000 });
    await expect.poll(() => tab.page.evaluate("running.size")).toBeLessThan(5);
  });
});

describe("an address or a name that somebody else has made", () => {
  test.each([
    "#/webhooks/x;$(id)%60id%60'%22%0Aid%0A",
    "#/webhooks/deliveries/filter/endpoint=x%27%3B%24(id)%0Aid",
    "#/devices/x;id%0Aid",
  ])("puts nothing into a call that is to be pasted: %s", async (hash) => {
    const tab = await openConsole(browser, { key: studio.key, hash });
    await tab.page.getByRole("heading", { level: 1 }).waitFor();
    await expectLoaded(tab);
    const calls = await tab.page.locator(".empty code.command").allTextContents();
    for (const call of calls) {
      const { stdout } = spawnSync("sh", ["-c", `curl() { printf '%s\\0' "$@"; }; ${call}`], {
        encoding: "utf8",
        env: { ...process.env, KEY: "key" },
      });
      const words = stdout.split("\0");
      expect(words).toEqual([
        "-s",
        "-X",
        "POST",
        expect.stringContaining(browser.origin),
        "-H",
        "Authorization: token key",
        "",
      ]);
    }
  });

  test("breaks no page", async () => {
    const tab = await openConsole(browser, { key: studio.key });
    for (const hash of ADDRESSES) {
      await goTo(tab, hash);
      await expectNoProblems(browser, tab, { allowed: [/status of 4\d\d/] });
    }
  });
});

/** Signs in with the form, in a tab that was prepared before. */
async function signIn({ page }: Tab, hash: string): Promise<void> {
  await page.goto(`/console${hash}`);
  await page.getByLabel("API key").fill(studio.key);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}
