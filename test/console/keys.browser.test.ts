/** The page API keys in Chromium: making, changing, refreshing and ending keys, by those who may. */
import type { Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  goTo,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";

/** What Chromium writes for a request that is refused: those of these tests. */
const REFUSED = [/status of 4\d\d/];
/** More than the list shows at a time. */
const MANY = 40;

let browser: TestBrowser;
let studio: TestOrganisation;

beforeAll(async () => {
  browser = await startBrowser();
  studio = await newOrganisation(browser, "Studio");
});
afterAll(() => browser?.close());

/** What the service says to somebody with this API key. */
async function statusOf(token: string): Promise<number> {
  const url = new URL("/v1/auth/session-tokens", browser.server.origin);
  const { status } = await fetch(url, { headers: { Authorization: `token ${token}` } });
  return status;
}

/** A key of a program, made with the API. */
async function newKey(name: string, more: object = {}): Promise<{ id: number; token: string }> {
  const { status, body } = await studio.api.call("POST", "/api-keys", {
    name,
    emails: [],
    organizationsIds: [studio.id],
    permissions: ["relays:read"],
    ...more,
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return { id: body.id, token: body.token.value };
}

async function readKey(id: number) {
  const path = `/api-keys/${id}?optFields=emails,labels,permissions`;
  const { body } = await studio.api.call("GET", path);
  return body[0];
}

const button = ({ page }: Tab, name: string) => page.getByRole("button", { name, exact: true });
const question = ({ page }: Tab) => page.getByRole("dialog");

/** Presses a button, and again where it asks. */
async function pressTwice(tab: Tab, name: string): Promise<void> {
  await button(tab, name).click();
  await question(tab).getByRole("button", { name, exact: true }).click();
}

/** The token that is shown once. */
async function shownToken(tab: Tab, title: string): Promise<string> {
  const shown = tab.page.getByRole("region", { name: title });
  return (await shown.locator("code").filter({ hasText: /^drb_/ }).textContent()) ?? "";
}

describe("a new key", () => {
  it("gets what was chosen, and shows its token until the person has copied it", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys" });
    const { page } = tab;
    await page.getByRole("link", { name: "Make a key" }).click();
    await page.getByLabel("Name", { exact: true }).fill("Game <b>server</b>");
    await page.getByLabel("Allowed addresses").fill("127.0.0.0/8\n::1");
    await page.getByLabel("E-mail addresses").fill("ops@example.com");
    await button(tab, "Make the key").click();
    await page.getByRole("alert").getByText("Choose at least one permission").waitFor();
    await page.getByLabel("relays:read").check();
    await page.getByLabel("relays:write").check();
    await page.getByLabel("Names of your own").fill("accessFtp");
    await button(tab, "Make the key").click();

    const token = await shownToken(tab, "The new API key");
    expect(await statusOf(token)).toBe(200);
    await expectNoProblems(browser, tab);
    const stay = async () => {
      await question(tab).getByText("If you have not copied it, it is lost.").waitFor();
      await question(tab).getByRole("button", { name: "Stay" }).click();
      expect(await shownToken(tab, "The new API key")).toBe(token);
      expect(new URL(page.url()).hash).toBe("#/keys/new");
    };
    await page.getByRole("link", { name: "Devices" }).click();
    await stay();
    // The first step back is to where the person is already.
    await page.evaluate("history.go(-2)");
    await stay();
    await button(tab, "Sign out").click();
    await stay();
    await button(tab, "I have copied it").click();
    await page.getByRole("heading", { level: 1, name: "Game <b>server</b>" }).waitFor();
    expect(await page.content()).not.toContain(token);

    const id = Number(page.url().split("/").at(-1));
    expect(await readKey(id)).toMatchObject({
      name: "Game <b>server</b>",
      permissions: ["relays:read", "relays:write", "accessFtp"],
      ipAllowlist: ["127.0.0.0/8", "::1/128"],
      emails: ["ops@example.com"],
    });
    await expectNoProblems(browser, tab);
    await goTo(tab, "#/keys");
    const row = page.getByRole("row").filter({ hasText: "Game <b>server</b>" });
    await row.getByText("2 networks").waitFor();
    await row.getByText("relays:read, relays:write and 1 more").waitFor();
  });

  it("whose token was not copied is left when the person says so", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys/new" });
    await tab.page.getByLabel("Name", { exact: true }).fill("Left alone");
    await tab.page.getByLabel("events:read").check();
    await button(tab, "Make the key").click();
    await shownToken(tab, "The new API key");
    await tab.page.getByRole("link", { name: "Events" }).click();
    await question(tab).getByRole("button", { name: "Leave" }).click();
    await tab.page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
    await goTo(tab, "#/keys");
    await tab.page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
    expect(await question(tab).count()).toBe(0);
  });

  it("stays in the form with the words of the service if it is refused", async () => {
    const tab = await openConsole(browser, { key: studio.key, hash: "#/keys/new" });
    const { page } = tab;
    await page.getByLabel("Name", { exact: true }).fill("Somewhere");
    await page.getByLabel("Allowed addresses").fill("the office");
    await page.getByLabel("events:read").check();
    await button(tab, "Make the key").click();
    await page.getByRole("alert").getByText("must be a CIDR of IPv4 or IPv6").waitFor();
    expect(await page.getByLabel("Name", { exact: true }).inputValue()).toBe("Somewhere");
    await expectNoProblems(browser, tab, { allowed: REFUSED });
  });

  it("can hold only what the person holds, and relays:host only alone", async () => {
    const { token } = await newSignInKey(studio, ["keys:read", "keys:write", "accessFtp"]);
    const tab = await openConsole(browser, { key: token, hash: "#/keys/new" });
    const { page } = tab;
    const box = (name: string) => page.getByRole("checkbox", { name, exact: true });
    await box("keys:read").waitFor();
    for (const name of ["*", "relays:write", "relays:host"]) {
      expect(await box(name).isDisabled(), name).toBe(true);
    }
    await page.getByText("Your own key does not hold it.").first().waitFor();
    await page.getByLabel("Names of your own").fill("accessFtp accessSsh");
    await page.getByRole("alert").getByText("does not hold: accessSsh").waitFor();
    await expectNoProblems(browser, tab);

    const all = await openConsole(browser, { key: studio.key, hash: "#/keys/new" });
    const any = (name: string) => all.page.getByRole("checkbox", { name, exact: true });
    await any("relays:host").check();
    expect(await any("relays:read").isDisabled()).toBe(true);
    expect(await any("*").isDisabled()).toBe(true);
    await any("relays:host").uncheck();
    await any("relays:read").check();
    expect(await any("relays:host").isDisabled()).toBe(true);
    await all.page.getByText("It stands alone. Untick all others first.").waitFor();
  });
});

describe("a key", () => {
  it("is blocked after a question, and unblocked", async () => {
    const { id, token } = await newKey("To block");
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await button(tab, "Block").click();
    await question(tab).getByText("To block").waitFor();
    await question(tab).getByRole("button", { name: "Cancel" }).click();
    expect((await readKey(id)).blocked).toBe(false);
    await pressTwice(tab, "Block");
    await button(tab, "Unblock").waitFor();
    await tab.page.getByText("blocked", { exact: true }).waitFor();
    await expect.poll(() => statusOf(token)).toBe(401);
    await expectNoProblems(browser, tab);
    await button(tab, "Unblock").click();
    await button(tab, "Block").waitFor();
    expect((await readKey(id)).blocked).toBe(false);
  });

  it("gets a new token, beside which the old one works as long as was chosen", async () => {
    const { id, token: old } = await newKey("To refresh");
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await button(tab, "Refresh the token").click();
    await tab.page.getByLabel("The token until now works").selectOption("1 day more");
    await button(tab, "Refresh the token").click();
    const token = await shownToken(tab, "The new token");
    await tab.page.getByText("The token until now works until").waitFor();
    expect(token).not.toBe(old);
    expect(await statusOf(token)).toBe(200);
    expect(await statusOf(old)).toBe(200);
    await button(tab, "I have copied it").click();
    await tab.page.getByRole("heading", { level: 1, name: "To refresh" }).waitFor();
    expect(await tab.page.content()).not.toContain(token);
  });

  it("with which the person is signed in shows its new token before they are signed out", async () => {
    const own = await newSignInKey(studio, ["keys:read", "keys:write"], "Own");
    const tab = await openConsole(browser, { key: own.token, hash: `#/keys/${own.id}` });
    await tab.page.getByText("You are signed in with this key.").waitFor();
    await button(tab, "Refresh the token").click();
    // A question of the page that the service hears only after the refresh: it is refused.
    const shown = tab.page.getByRole("region", { name: "The new token" });
    const asked = new Promise<void>((heard) => {
      const later = async (route: Route) => {
        heard();
        await shown.waitFor();
        await route.continue();
      };
      void tab.page.route(`**/api-keys/${own.id}?*`, later, { times: 1 });
    });
    await asked;
    const refused = tab.page.waitForResponse(
      (answer) => answer.status() === 401 && answer.url().includes("/api-keys/"),
    );
    await button(tab, "Refresh the token").click();
    const token = await shownToken(tab, "The new token");
    await refused;
    await expect.poll(() => tab.errors.some((error) => error.includes("401"))).toBe(true);
    expect(await shownToken(tab, "The new token")).toBe(token);
    await button(tab, "I have copied it").click();
    await tab.page.getByRole("status").getByText("Your session has ended.").waitFor();
    await tab.page.getByLabel("API key", { exact: true }).fill(token);
    await button(tab, "Sign in").click();
    await button(tab, "Sign out").waitFor();
    await expectNoProblems(browser, tab, { allowed: REFUSED });
  });

  it("changes its settings, and only those that were changed", async () => {
    const { id } = await newKey("To change", { expiresAt: "2100-01-01T00:00:00Z" });
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await button(tab, "Change settings").click();
    await tab.page.getByLabel("Labels").fill("eu west\ntest bench");
    await tab.page.getByLabel("E-mail addresses").fill("anna@example.com");
    const sent = tab.page.waitForRequest((request) => request.method() === "PATCH");
    await button(tab, "Save").click();
    expect((await sent).postDataJSON()).toEqual({
      labels: ["eu west", "test bench"],
      emails: ["anna@example.com"],
    });
    await tab.page.getByText("test bench").waitFor();
    await button(tab, "Change settings").waitFor();
    await expectNoProblems(browser, tab);
  });

  it("is changed with the keyboard alone: the focus follows", async () => {
    const { id } = await newKey("By keyboard");
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    const { page } = tab;
    const focused = () => page.evaluate("document.activeElement.textContent");
    await button(tab, "Change permissions").press("Enter");
    await expect.poll(focused).toBe("What it may do");
    const first = page.getByRole("checkbox", { name: "*", exact: true });
    await page.keyboard.press("Tab");
    expect(await first.evaluate((box) => box === box.ownerDocument.activeElement)).toBe(true);
    await page.getByLabel("events:read").press("Space");
    await page.getByLabel("events:read").press("Enter");
    await button(tab, "Change permissions").waitFor();
    await expect.poll(focused).toContain("Change permissions");
    expect((await readKey(id)).permissions).toEqual(["relays:read", "events:read"]);
    await page.getByRole("link", { name: "All API keys" }).press("Enter");
    await page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
    await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("main");
  });

  it("changes what it may do", async () => {
    const { id } = await newKey("To narrow", { permissions: ["relays:read", "events:read"] });
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await button(tab, "Change permissions").click();
    await tab.page.getByLabel("events:read").uncheck();
    await tab.page.getByLabel("webhooks:read").check();
    await button(tab, "Save").click();
    await button(tab, "Change permissions").waitFor();
    expect((await readKey(id)).permissions).toEqual(["relays:read", "webhooks:read"]);
  });

  it("is not changed over what somebody else has changed meanwhile", async () => {
    const { id } = await newKey("Of two people");
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await button(tab, "Change permissions").click();
    await tab.page.getByLabel("events:read").check();
    await studio.api.call("PATCH", `/api-keys/${id}`, { permissions: ["webhooks:read"] });
    await tab.page.getByRole("region", { name: "The key" }).getByText("webhooks:read").waitFor();
    await button(tab, "Save").click();
    await tab.page.getByRole("alert").getByText("Somebody else has changed").waitFor();
    expect((await readKey(id)).permissions).toEqual(["webhooks:read"]);
  });

  it("is ended after a question, and then is not there any more", async () => {
    const { id, token } = await newKey("To end");
    const tab = await openConsole(browser, { key: studio.key, hash: `#/keys/${id}` });
    await pressTwice(tab, "End the key");
    await tab.page.getByRole("heading", { level: 1, name: "API keys" }).waitFor();
    await expect.poll(() => statusOf(token)).toBe(401);
    await goTo(tab, `#/keys/${id}`);
    await tab.page.getByText(`There is no API key ${id} here.`).waitFor();
  });

  it("that holds more than the person may be blocked by them, but not refreshed: it says why", async () => {
    const { id } = await newKey("Stronger", { permissions: ["events:read"] });
    const weaker = await newSignInKey(studio, ["keys:read", "keys:write"]);
    const tab = await openConsole(browser, { key: weaker.token, hash: `#/keys/${id}` });
    await button(tab, "Refresh the token").click();
    await button(tab, "Refresh the token").click();
    await tab.page.getByRole("alert").getByText("which yours does not").waitFor();
    await button(tab, "Cancel").click();
    await pressTwice(tab, "Block");
    await button(tab, "Unblock").waitFor();
  });
});

describe("the list", () => {
  it("has pages, and finds keys by a part of the name and by state", async () => {
    const many = await newOrganisation(browser, "Many keys");
    for (let n = 1; n <= MANY; n += 1) {
      await many.api.call("POST", "/api-keys", {
        name: `Arcade ${n}`,
        emails: [],
        organizationsIds: [many.id],
        permissions: ["relays:read"],
      });
    }
    const tab = await openConsole(browser, {
      key: many.key,
      hash: "#/keys",
      viewport: { width: 360, height: 800 },
    });
    const { page } = tab;
    await page.getByText("Arcade 29", { exact: true }).waitFor();
    expect(await page.getByText("Arcade 30", { exact: true }).count()).toBe(0);
    await button(tab, "Next").click();
    await page.getByText("Arcade 40", { exact: true }).waitFor();
    expect(await button(tab, "Next").isDisabled()).toBe(true);
    await button(tab, "Previous").click();
    await page.getByRole("link", { name: "First key" }).waitFor();
    await page.getByLabel("Part of the name").fill("cade 37");
    await page.getByText("Arcade 37", { exact: true }).waitFor();
    await expect.poll(() => page.getByText("Arcade 1", { exact: true }).count()).toBe(0);
    await page.getByLabel("State").selectOption("blocked");
    await page.getByText("No key fits.").waitFor();
    await expectNoProblems(browser, tab);
  });

  it("lets a reader look, and says what they would need to do more", async () => {
    const { id } = await newKey("Of others");
    const { token } = await newSignInKey(studio, ["keys:read"], "Reader");
    const tab = await openConsole(browser, { key: token, hash: "#/keys" });
    await tab.page.getByText("To make a key, yours needs").waitFor();
    expect(await tab.page.getByRole("link", { name: "Make a key" }).count()).toBe(0);
    await goTo(tab, `#/keys/${id}`);
    for (const name of ["Change settings", "Change permissions", "Refresh the token", "Block"]) {
      expect(await button(tab, name).isDisabled(), name).toBe(true);
    }
    await goTo(tab, "#/keys/new");
    expect(await button(tab, "Make the key").isDisabled()).toBe(true);
    await expectNoProblems(browser, tab);
  });
});
