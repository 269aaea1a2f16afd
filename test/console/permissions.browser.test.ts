/** The page Relay permissions in Chromium: connections, and what two of them may send to each other. */
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

/** More than a list shows at a time. */
const MANY = 35;
/** What a reader may. */
const READING = ["connections:get", "relay-permissions:get"];

let browser: TestBrowser;

beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(() => browser?.close());

/** A new organisation with these connections. */
async function organisationWith(...connections: string[]): Promise<TestOrganisation> {
  const organisation = await newOrganisation(browser);
  for (const connectionId of connections) {
    const made = await organisation.api.call("POST", "/connections/definition", { connectionId });
    expect(made.status).toBe(201);
  }
  return organisation;
}

/** Creates a relay permission, such as `plant-a/plant-b/send`. */
async function permit({ api }: TestOrganisation, key: string, more: object): Promise<void> {
  const [connectionId, remoteConnectionId, direction] = key.split("/");
  const body = { connectionId, remoteConnectionId, direction, ...more };
  expect((await api.call("POST", "/relay/permission", body)).status).toBe(201);
}

/** All relay permissions: `plant-a/plant-b/send: true (memo)`. */
async function rowsOf({ api }: TestOrganisation): Promise<string[]> {
  const { body } = await api.call("GET", "/relay/permission");
  return body.permission.map(
    (row: Record<string, string>) =>
      `${row.connectionId}/${row.remoteConnectionId}/${row.direction}: ${row.enabled} (${row.memo})`,
  );
}

async function mayPass({ api }: TestOrganisation, from: string, to: string): Promise<boolean> {
  const { body } = await api.call("POST", "/v1/relay-permissions:check", { from, to });
  return body.allowed;
}

const button = ({ page }: Tab, name: string) => page.getByRole("button", { name, exact: true });
const theSwitch = ({ page }: Tab, from: string, to: string) =>
  page.getByRole("switch", { name: `${from} may send to ${to}` });
const row = ({ page }: Tab, text: string) => page.getByRole("row").filter({ hasText: text });

/** Waits until the switch says so. */
async function expectSwitch(tab: Tab, from: string, to: string, on: boolean): Promise<void> {
  await tab.page.getByRole("switch", { name: `${from} may send to ${to}`, checked: on }).waitFor();
}

describe("connections", () => {
  it("begin with an empty list that says how to get the first one, and are registered there", async () => {
    const studio = await organisationWith();
    const tab = await openConsole(browser, { key: studio.key, hash: "#/permissions" });
    const { page } = tab;
    await page.getByText("There is no connection here.").waitFor();
    await page.getByText(`curl -s -X POST ${browser.origin}/connections/definition`).waitFor();
    await expectNoProblems(browser, tab);
    await button(tab, "Register a connection").click();
    await page.getByRole("textbox", { name: "Id" }).fill("plant a");
    await button(tab, "Register").click();
    await page.getByRole("alert").getByText("1 to 16 letters").waitFor();
    await page.getByRole("textbox", { name: "Id" }).fill("plant-a");
    await page.getByLabel("Memo").fill("<img src=x onerror=alert(1)>");
    await button(tab, "Register").click();
    await page.getByRole("status").getByText("plant-a is registered.").waitFor();
    await row(tab, "plant-a").getByText("<img src=x onerror=alert(1)>").waitFor();
    expect(await page.getByRole("textbox", { name: "Id" }).inputValue()).toBe("");
    await expectNoProblems(browser, tab, { allowed: [/status of 400/] });
  });

  it("are deleted after a question that names what goes with them", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    await permit(studio, "plant-a/plant-b/send", {});
    await permit(studio, "plant-a/plant-b/receive", {});
    await permit(studio, "plant-b/plant-a/send", {});
    const tab = await openConsole(browser, { key: studio.key, hash: "#/permissions" });
    await row(tab, "plant-a").getByRole("button", { name: "Delete" }).click();
    const question = tab.page.getByRole("dialog", { name: "Delete plant-a?" });
    await question.getByText("its 2 relay permissions").waitFor();
    await expectNoProblems(browser, tab);
    await question.getByRole("button", { name: "Delete" }).click();
    await tab.page.getByText("1 connection", { exact: true }).waitFor();
    expect(await rowsOf(studio)).toEqual(["plant-b/plant-a/send: false ()"]);
  });

  it("have pages, and are suggested by what their ids begin with", async () => {
    const many = Array.from({ length: MANY }, (_, n) => `line-${String(n).padStart(3, "0")}`);
    const studio = await organisationWith(...many, "plant-a");
    const tab = await openConsole(browser, { key: studio.key, hash: "#/permissions" });
    const { page } = tab;
    await page.getByText("36 connections").waitFor();
    await page.getByText("line-029", { exact: true }).waitFor();
    expect(await page.getByText("line-030", { exact: true }).count()).toBe(0);
    await button(tab, "Next").click();
    await page.getByText("plant-a", { exact: true }).waitFor();
    expect(await button(tab, "Next").isDisabled()).toBe(true);
    await goTo(tab, "#/permissions/pair");
    const suggested = () =>
      page
        .locator("datalist")
        .first()
        .locator("option")
        .evaluateAll((all) => all.map((one) => (one as { value: string }).value));
    await page.getByLabel("One connection").fill("line-03");
    await expect
      .poll(suggested)
      .toEqual(["line-030", "line-031", "line-032", "line-033", "line-034"]);
    await page.getByLabel("One connection").fill("pl");
    await expect.poll(suggested).toEqual(["plant-a"]);
  });
});

describe("the switch of a direction", () => {
  it("makes both relay permissions, and turned off it keeps them and their memos", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    const tab = await openConsole(browser, { key: studio.key, hash: "#/permissions/pair" });
    const { page } = tab;
    await page.getByLabel("One connection").fill("plant-a");
    await page.getByLabel("The other connection").fill("plant-b");
    await button(tab, "Show").click();
    await expectSwitch(tab, "plant-a", "plant-b", false);
    await theSwitch(tab, "plant-a", "plant-b").press("Space");
    await expectSwitch(tab, "plant-a", "plant-b", true);
    expect(await mayPass(studio, "plant-a", "plant-b")).toBe(true);
    expect(await mayPass(studio, "plant-b", "plant-a")).toBe(false);
    await expectSwitch(tab, "plant-b", "plant-a", false);
    await expectNoProblems(browser, tab);
    await studio.api.call("PUT", "/relay/permission/plant-a/plant-b/send", { memo: "night" });
    await theSwitch(tab, "plant-a", "plant-b").click();
    await expectSwitch(tab, "plant-a", "plant-b", false);
    expect(await rowsOf(studio)).toEqual([
      "plant-a/plant-b/send: false (night)",
      "plant-b/plant-a/receive: false ()",
    ]);
    const from = page.getByRole("region", { name: "From plant-a to plant-b" });
    expect(await from.getByText("disabled", { exact: true }).count()).toBe(2);
  });

  it("says which side is missing, and changes only that one", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    await permit(studio, "plant-a/plant-b/send", { enabled: "true" });
    const tab = await openConsole(browser, {
      key: studio.key,
      hash: "#/permissions/pair/plant-a/plant-b",
      viewport: { width: 360, height: 800 },
    });
    const sides = tab.page
      .getByRole("region", { name: "From plant-a to plant-b" })
      .getByRole("listitem");
    await sides.getByText("plant-a sends to plant-b").waitFor();
    expect(await sides.allTextContents()).toEqual([
      "enabled plant-a sends to plant-b",
      "missing plant-b receives from plant-a",
    ]);
    await expectNoProblems(browser, tab);
    const calls: string[] = [];
    tab.page.on("request", (request) => {
      if (request.method() !== "GET") calls.push(request.method());
    });
    await theSwitch(tab, "plant-a", "plant-b").click();
    await expectSwitch(tab, "plant-a", "plant-b", true);
    expect(calls).toEqual(["POST"]);
  });

  it("shows what somebody else changes, without a click", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    const hash = "#/permissions/pair/plant-a/plant-b";
    const tab = await openConsole(browser, { key: studio.key, hash });
    await expectSwitch(tab, "plant-b", "plant-a", false);
    await permit(studio, "plant-b/plant-a/send", { enabled: "true" });
    await permit(studio, "plant-a/plant-b/receive", { enabled: "true" });
    await expectSwitch(tab, "plant-b", "plant-a", true);
  });

  it("says what was done and what not if one of the two calls fails", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    const hash = "#/permissions/pair/plant-a/plant-b";
    const tab = await openConsole(browser, { key: studio.key, hash });
    await tab.page.route("**/relay/permission", (route) =>
      route.request().postDataJSON()?.direction === "receive"
        ? route.fulfill({
            status: 503,
            json: { code: "unavailable", detail: "The database is away." },
          })
        : route.continue(),
    );
    await theSwitch(tab, "plant-a", "plant-b").click();
    const said = tab.page.getByRole("alert");
    await said.getByText("Not created: “plant-b receives from plant-a”.").waitFor();
    await said.getByText("The database is away.").waitFor();
    await said.getByText("But created: “plant-a sends to plant-b”.").waitFor();
    await expectSwitch(tab, "plant-a", "plant-b", false);
    await tab.page.unroute("**/relay/permission");
    await theSwitch(tab, "plant-a", "plant-b").click();
    await expectSwitch(tab, "plant-a", "plant-b", true);
    expect(await said.count()).toBe(0);
  });

  it("cannot be turned on while a connection is not registered: it says which", async () => {
    const studio = await organisationWith("plant-a");
    const hash = "#/permissions/pair/plant-a/nowhere";
    const tab = await openConsole(browser, { key: studio.key, hash });
    await expectSwitch(tab, "plant-a", "nowhere", false);
    expect(await theSwitch(tab, "plant-a", "nowhere").isDisabled()).toBe(true);
    await tab.page.getByText("nowhere is no connection here").first().waitFor();
    await expectNoProblems(browser, tab, { allowed: [/status of 404/] });
  });
});

describe("the list of relay permissions", () => {
  it("has filters, and each has a memo that can be edited, and is deleted after a question", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    await permit(studio, "plant-a/plant-b/send", { enabled: "true", memo: "night" });
    await permit(studio, "plant-b/plant-a/receive", { memo: "day" });
    await permit(studio, "plant-b/elsewhere/send", {});
    const tab = await openConsole(browser, { key: studio.key, hash: "#/permissions" });
    const { page } = tab;
    await row(tab, "plant-b").getByRole("link", { name: "Its relay permissions" }).click();
    await page.getByText("2 relay permissions").waitFor();
    expect(await row(tab, "plant-a sends to plant-b").count()).toBe(0);
    await page.getByLabel("Direction").selectOption("receives");
    await page.getByText("1 relay permission", { exact: true }).waitFor();
    await expectNoProblems(browser, tab);
    await button(tab, "Edit the memo of “plant-b receives from plant-a”").click();
    await page.getByLabel("Memo of “plant-b receives from plant-a”").fill("evening");
    await button(tab, "Save").click();
    await row(tab, "plant-b receives from plant-a").getByText("evening").waitFor();
    await button(tab, "Enable").click();
    await button(tab, "Disable").waitFor();
    expect(await mayPass(studio, "plant-a", "plant-b")).toBe(true);
    await button(tab, "Delete").click();
    const question = page.getByRole("dialog");
    await question.getByText("plant-b receives from plant-a").waitFor();
    await question.getByRole("button", { name: "Delete" }).click();
    await page.getByText("No relay permission fits.").waitFor();
    expect(await rowsOf(studio)).toEqual([
      "plant-a/plant-b/send: true (night)",
      "plant-b/elsewhere/send: false ()",
    ]);
  });

  it("lets a reader look, and says what they would need to do more", async () => {
    const studio = await organisationWith("plant-a", "plant-b");
    await permit(studio, "plant-a/plant-b/send", { enabled: "true" });
    const { token } = await newSignInKey(studio, READING);
    const tab = await openConsole(browser, { key: token, hash: "#/permissions" });
    await row(tab, "plant-a").waitFor();
    expect(await button(tab, "Register a connection").isDisabled()).toBe(true);
    expect(await row(tab, "plant-a").getByRole("button", { name: "Delete" }).isDisabled()).toBe(
      true,
    );
    await goTo(tab, "#/permissions/list");
    await row(tab, "plant-a").getByText("needs relay-permissions:delete").waitFor();
    await goTo(tab, "#/permissions/pair/plant-a/plant-b");
    await expectSwitch(tab, "plant-a", "plant-b", false);
    expect(await theSwitch(tab, "plant-a", "plant-b").isDisabled()).toBe(true);
    await tab.page
      .getByText("To turn it on, your API key needs relay-permissions:create.")
      .first()
      .waitFor();
    await expectNoProblems(browser, tab);
  });
});
