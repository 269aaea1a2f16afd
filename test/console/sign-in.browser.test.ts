/** Signing in to the console and out of it, as a person does it in Chromium. */
import type { Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  newKeyOfBoth,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";

const { DRAWBRIDGE_ROOT_TOKEN = "" } = process.env;

/** What Chromium writes for a request that is refused: those of these tests. */
const REFUSED = [/status of 4\d\d/];

let browser: TestBrowser;
let studio: TestOrganisation;

beforeAll(async () => {
  browser = await startBrowser();
  studio = await newOrganisation(browser, "Studio");
});
afterAll(() => browser?.close());

/** A link that signs in, as `npm start` prints one. */
async function newLink(keyId: number): Promise<string> {
  const response = await fetch(new URL("/v1/auth/sign-in-codes", browser.server.origin), {
    method: "POST",
    headers: { Authorization: `Bearer ${DRAWBRIDGE_ROOT_TOKEN}` },
    body: JSON.stringify({ key_id: keyId }),
  });
  expect(response.status).toBe(201);
  const { code } = (await response.json()) as { code: string };
  return `/console#code=${code}`;
}

/** All that this tab keeps. */
function stored({ page }: Tab): Promise<string[]> {
  return page.evaluate("[...Object.values(sessionStorage), ...Object.values(localStorage)]");
}

/** What the service says to somebody with this session token. */
async function statusOf(token: string): Promise<number> {
  const url = new URL("/v1/auth/session-tokens", browser.server.origin);
  const { status } = await fetch(url, { headers: { Authorization: `Bearer ${token}` } });
  return status;
}

const signOutButton = ({ page }: Tab) => page.getByRole("button", { name: "Sign out" });
const keyField = ({ page }: Tab) => page.getByLabel("API key", { exact: true });

/** Sends the form with this key. */
async function tryKey(tab: Tab, key: string): Promise<void> {
  await keyField(tab).fill(key);
  await tab.page.getByRole("button", { name: "Sign in", exact: true }).click();
}

describe("a link with a code", () => {
  it("signs in, and its code leaves the address", async () => {
    const { id } = await newSignInKey(studio, ["keys:read"]);
    const tab = await browser.open();
    await tab.page.goto(await newLink(id));
    await signOutButton(tab).waitFor();
    expect(tab.page.url()).toBe(`${browser.origin}/console`);
    await expectNoProblems(browser, tab);
  });

  it("is good once: the second time it says so", async () => {
    const { id } = await newSignInKey(studio, []);
    const link = await newLink(id);
    const first = await browser.open();
    await first.page.goto(link);
    await signOutButton(first).waitFor();
    const second = await browser.open();
    await second.page.goto(link);
    await second.page.getByRole("status").getByText("it is good once").waitFor();
    await keyField(second).waitFor();
    expect(second.page.url()).not.toContain("code");
    await expectNoProblems(browser, second, { allowed: REFUSED });
  });

  it("takes the place of whoever is signed in in that tab, and ends their session", async () => {
    const before = await newSignInKey(studio, [], "Before");
    const after = await newSignInKey(studio, [], "After");
    const tab = await openConsole(browser, { key: before.token });
    const [token = ""] = await stored(tab);
    const hash = (await newLink(after.id)).replace("/console", "");
    await tab.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    await tab.page.getByText("After", { exact: true }).waitFor();
    expect(await statusOf(token)).toBe(401);
    await tab.page.getByRole("heading", { level: 1, name: "Pairing" }).waitFor();
  });
});

describe("the form", () => {
  it("says what is wrong with a key", async () => {
    const program = await studio.api.call("POST", "/api-keys", {
      name: "Program",
      emails: [],
      organizationsIds: [studio.id],
      permissions: ["relays:read"],
    });
    const gone = await newSignInKey(studio, []);
    await studio.api.call("DELETE", `/api-keys/${gone.id}`);
    const tab = await browser.open();
    await tab.page.goto("/console");
    const said = tab.page.getByRole("alert");
    await tryKey(tab, "something else");
    await said.getByText("This is not one of our API keys").waitFor();
    await tryKey(tab, gone.token);
    await said.getByText("This API key does not exist").waitFor();
    await tryKey(tab, program.body.token.value);
    await said.getByText("lacks the permission operator:sign-in").waitFor();
    await expectNoProblems(browser, tab, { allowed: REFUSED });
    await tryKey(tab, studio.key);
    await signOutButton(tab).waitFor();
    expect(await tab.page.evaluate("document.activeElement.id")).toBe("main");
    // The key itself is kept nowhere.
    expect((await stored(tab)).join()).not.toContain("drb_");
  });

  it("says how long to wait after too many tries", async () => {
    const tab = await browser.open();
    await tab.page.route("**/v1/auth/session-tokens", (route) =>
      route.fulfill({
        status: 429,
        headers: { "Retry-After": "40" },
        json: {
          code: "too-many-failures",
          detail: "Too many failed tries from your address. Wait as long as Retry-After says.",
        },
      }),
    );
    await tab.page.goto("/console");
    await tryKey(tab, studio.key);
    const words = "Too many failed tries from your address. Try again in 40 s.";
    await tab.page.getByRole("alert").getByText(words, { exact: true }).waitFor();
  });

  it("offers Cloudflare Access where it is configured, and asks for the organisation if it must", async () => {
    const tab = await browser.open();
    await tab.page.route("**/v1/auth/sign-in-methods", (route) =>
      route.fulfill({ json: { methods: ["api_key", "cloudflare_access"] } }),
    );
    const asked: (string | undefined)[] = [];
    await tab.page.route("**/v1/auth/session-tokens", (route) => {
      asked.push(route.request().headers()["x-organisation-id"]);
      return route.fulfill({
        status: 409,
        json: { code: "several-organisations", detail: "Name one with X-Organisation-Id." },
      });
    });
    await tab.page.goto("/console");
    const button = tab.page.getByRole("button", { name: "Sign in with Cloudflare Access" });
    await button.click();
    await tab.page.getByLabel("Number of the organisation").fill("7");
    await expectNoProblems(browser, tab, { allowed: REFUSED });
    await button.click();
    await expect.poll(() => asked).toEqual([undefined, "7"]);
  });
});

describe("a person who is signed in", () => {
  it("stays so after a reload, and is not in a new tab", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    await tab.page.reload();
    await tab.page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
    await signOutButton(tab).waitFor();
    const page = await tab.page.context().newPage();
    await page.goto("/console#/keys");
    await page.getByLabel("API key", { exact: true }).waitFor();
  });

  it("stays so if the service is away during a reload", async () => {
    const tab = await openConsole(browser, { key: studio.key });
    await tab.page.route("**/v1/auth/session-tokens", (route) => route.abort());
    await tab.page.reload();
    await tab.page.getByRole("alert").getByText("cannot be reached").waitFor();
    await tab.page.unroute("**/v1/auth/session-tokens");
    await tab.page.getByRole("button", { name: "Try again" }).click();
    await signOutButton(tab).waitFor();
  });

  it("is out on the service too after signing out, and Back shows nothing", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    await tab.page.getByRole("link", { name: "First key" }).click();
    await tab.page.getByRole("heading", { level: 1, name: "First key" }).waitFor();
    const [token = ""] = await stored(tab);
    expect(await statusOf(token)).toBe(200);
    await signOutButton(tab).click();
    await tab.page.getByRole("status").getByText("You have signed out.").waitFor();
    expect(await statusOf(token)).toBe(401);
    expect(await stored(tab)).toEqual([]);
    const { requests } = tab;
    const soFar = requests.length;
    await tab.page.goBack();
    await keyField(tab).waitFor();
    expect(await tab.page.getByText("First key").count()).toBe(0);
    const since = requests.slice(soFar).filter((url) => url.includes("/api-keys"));
    expect(since).toEqual([]);
  });

  it("stays in if an answer to the session before comes late", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    const { page } = tab;
    let release = () => {};
    const released = new Promise<void>((go) => {
      release = go;
    });
    const asked = new Promise<void>((heard) => {
      const later = async (route: Route) => {
        heard();
        await released;
        await route.continue();
      };
      void page.route("**/api-keys?*", later, { times: 1 });
    });
    await asked;
    await signOutButton(tab).click();
    await tryKey(tab, studio.key);
    await page.getByRole("link", { name: "First key" }).waitFor();
    const refused = page.waitForResponse((answer) => answer.status() === 401);
    release();
    await refused;
    // A reload asks who is signed in: the answer has been dealt with by then.
    await page.reload();
    await page.getByRole("link", { name: "First key" }).waitFor();
  });

  it("hears it if the service could not end the session", async () => {
    const tab = await openConsole(browser, { key: studio.key });
    await tab.page.route("**/v1/auth/session-tokens", (route) => route.abort());
    await signOutButton(tab).click();
    const said = tab.page.getByRole("status");
    await said.getByText("could not end your session").waitFor();
    expect(await stored(tab)).toEqual([]);
  });

  it("is out when the key is blocked, with the reason, and nothing of before is seen", async () => {
    const { id, token } = await newSignInKey(studio, ["keys:read"], "Leaver");
    const tab = await openConsole(browser, { key: token, hash: "#/keys" });
    await tab.page.getByRole("link", { name: "First key" }).waitFor();
    await studio.api.call("PATCH", `/api-keys/${id}`, { blocked: true });
    await tab.page.getByRole("status").getByText("Your session has ended.").waitFor();
    expect(await tab.page.getByText("First key").count()).toBe(0);
    expect(await stored(tab)).toEqual([]);
    await expectNoProblems(browser, tab, { allowed: REFUSED });
  });

  it("changes between the organisations of the key", async () => {
    const other = await newOrganisation(browser, "Second studio");
    const { token } = await newKeyOfBoth(browser, [studio, other], ["keys:read"]);
    const tab = await openConsole(browser, { key: token, hash: "#/keys" });
    const names = tab.page.getByRole("table", { name: /API keys/ });
    await names.getByText("Leaver").or(names.getByText("Program")).first().waitFor();
    const choice = tab.page.getByLabel("Organisation");
    await choice.selectOption({ label: `Second studio (${other.id})` });
    await tab.page.getByRole("link", { name: "First key" }).waitFor();
    await expect.poll(() => names.getByText("Program").count()).toBe(0);
    await tab.page.reload();
    await tab.page.getByRole("link", { name: "First key" }).waitFor();
    expect(await choice.inputValue()).toBe(String(other.id));
  });
});
