/** The console's page Pairing: an operator decides in Chromium while devices ask in this process. */
import type { Locator, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type AskingDevice, AskingDevices, newApplication } from "../support/asking-devices";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  newOrganisation,
  newSignInKey,
  openConsole,
  type Seat,
  type TestOrganisation,
} from "../support/console";
import { eventually } from "../support/eventually";

let browser: TestBrowser;
let at: TestOrganisation;
let application: string;
let devices: AskingDevices;
const tabs: Tab[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});

beforeEach(async () => {
  at = await newOrganisation(browser);
  application = await newApplication(at);
  devices = new AskingDevices(browser);
});

afterEach(async () => {
  devices.giveUp();
  for (const { page } of tabs.splice(0)) {
    // A call of the page may be on its way.
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await page.context().close();
  }
});

afterAll(() => browser?.close());

/** Signs in, with the first key unless another is given. */
async function open(seat: Partial<Seat> = {}, on: TestBrowser = browser): Promise<Tab> {
  const tab = await openConsole(on, { key: at.key, hash: "#/pairing", ...seat });
  tabs.push(tab);
  return tab;
}

/** The card of a device. */
function cardOf(page: Page, { fingerprint }: Pick<AskingDevice, "fingerprint">): Locator {
  return page.locator("article").filter({ hasText: fingerprint });
}

const approve = (card: Locator) => card.getByRole("button", { name: /^Approve/ });

/** What the service answers to a call of the page. Only Chromium knows the page's host. */
async function answerOf(route: Route) {
  const url = route.request().url().replace(browser.origin, browser.server.origin);
  return (await route.fetch({ url })).json();
}

async function pendingRequests() {
  return (await at.api.call("GET", "/v1/pairing/requests?status=pending")).body.data;
}

async function decideElsewhere(verb: "approve" | "reject", body: object = {}) {
  const [{ pair_request_id: id }] = await pendingRequests();
  const path = `/v1/applications/${application}/pairing/requests/${id}:${verb}`;
  expect((await at.api.call("POST", path, body)).status).toBe(200);
}

test("a device gets exactly the scopes that its operator has left ticked, and the request that was shown is approved", async () => {
  const tab = await open();
  const { page } = tab;
  await page.getByText("No device waits for a decision").waitFor();
  const device = await devices.ask(application, {
    scopes: ["operator.read", "operator.write", "operator.pairing"],
  });
  const [asked] = await pendingRequests();
  const card = cardOf(page, device);
  await card.getByText("Anna's laptop").waitFor();
  expect(await page.title()).toBe("(1) Pairing · Drawbridge");
  await expectNoProblems(browser, tab);
  await card.getByRole("checkbox", { name: "operator.write" }).uncheck();
  await card.getByRole("checkbox", { name: "operator.pairing" }).uncheck();
  const sent = page.waitForRequest(/:approve$/);
  await card.getByRole("button", { name: "Approve 1 scope only" }).click();
  expect((await sent).postDataJSON()).toEqual({
    digest: asked.digest,
    roles: ["operator"],
    scopes: ["operator.read"],
  });
  const done = page.getByRole("status").filter({ hasText: "Approved: Anna's laptop" });
  await done.waitFor();
  expect(await done.evaluate("document.activeElement.textContent")).toContain("Approved");
  expect(await device.scopes).toEqual(["operator.read"]);
  const token = await device.token;
  const verified = await at.api.call("POST", "/v1/devices:verify", { token });
  expect(verified.body).toMatchObject({ valid: true, scopes: ["operator.read"] });
  await card.waitFor({ state: "detached" });
  const row = page.getByRole("row").filter({ hasText: device.fingerprint });
  await row.getByText("operator.read (asked for 3)").waitFor();
  expect(await page.title()).toBe("Pairing · Drawbridge");
  await expectNoProblems(browser, tab);
});

test("the keyboard leads to the button in as many stops as there are boxes, and back to what was done", async () => {
  const device = await devices.ask(application, { scopes: ["operator.read", "operator.pairing"] });
  const { page } = await open();
  await approve(cardOf(page, device)).waitFor();
  // So that the keyboard begins at the start of the page.
  await page.reload();
  await approve(cardOf(page, device)).waitFor();
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press("Tab");
  expect(await focused(page)).toBe("Skip to the page");
  await press("Enter", "Tab", "Tab", "Space", "Tab");
  expect(await focused(page)).toBe("Approve 1 scope only");
  await press("Enter");
  await page.getByRole("status").filter({ hasText: "Approved:" }).waitFor();
  expect(await focused(page)).toContain("operator.read");
  expect(await device.scopes).toEqual(["operator.read"]);
});

const focused = (page: Page) => page.evaluate<string>("document.activeElement.textContent");

test("a rejection has a reason for the other operators, and the device is told that it was rejected", async () => {
  const device = await devices.ask(application);
  const { page } = await open();
  const card = cardOf(page, device);
  await card.getByRole("button", { name: "Reject" }).click();
  await card.getByLabel("Reason").fill("Nobody knows it");
  await card.getByRole("button", { name: "Reject", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "Rejected: Anna's laptop" }).waitFor();
  const row = page.getByRole("row").filter({ hasText: device.fingerprint });
  await row.getByText("Nobody knows it").waitFor();
  await expect(device.token).rejects.toMatchObject({ code: "rejected" });
});

describe("a request that ends while it is looked at", () => {
  let device: AskingDevice;
  let page: Page;
  let card: Locator;

  beforeEach(async () => {
    device = await devices.ask(application);
    ({ page } = await open());
    card = cardOf(page, device);
    await approve(card).waitFor();
  });

  const expectEnded = async (words: RegExp) => {
    await card.getByText(words).waitFor();
    expect(await approve(card).count()).toBe(0);
    expect(await card.getByRole("checkbox").first().isDisabled()).toBe(true);
    await card.getByRole("button", { name: "Dismiss" }).click();
    await card.waitFor({ state: "detached" });
  };

  test("stays where it was and says that another operator has approved it", async () => {
    await decideElsewhere("approve", { scopes: ["operator.read"] });
    await expectEnded(/Approved by your API key.*It was given operator\.read\./);
  });

  test("says that another operator has rejected it, and why", async () => {
    await decideElsewhere("reject", { reason: "A stranger" });
    await expectEnded(/Rejected by your API key.*Reason: A stranger/);
  });

  test("says that the device has asked for something else, and the new request has a card of its own", async () => {
    await devices.ask(application, {
      keyPair: device.keyPair,
      scopes: ["operator.read", "operator.write", "operator.pairing"],
    });
    const both = cardOf(page, device);
    await eventually(async () => expect(await both.count()).toBe(2));
    expect(await both.nth(0).getByRole("checkbox").count()).toBe(3);
    card = both.nth(1);
    await card.getByText("The device has asked for something else").waitFor();
    expect(await approve(card).count()).toBe(0);
    await card.getByRole("button", { name: "Dismiss" }).click();
    await eventually(async () => expect(await both.count()).toBe(1));
    await approve(both).waitFor();
  });

  test("says that its time is over when the service says so", async () => {
    await page.route("**/v1/pairing/requests?*", async (route) => {
      const { data, ...rest } = await answerOf(route);
      // As the service lists a request whose time is over: not among those that wait.
      const asksPending = route.request().url().includes("status=pending");
      const expired = data.map((each: object) => ({ ...each, status: "expired" }));
      await route.fulfill({ json: { data: asksPending ? [] : expired, ...rest } });
    });
    await expectEnded(/Nobody decided in time/);
  });

  test("keeps the focus, if it was there, and is not approved by the key that was about to be pressed", async () => {
    await approve(card).focus();
    await decideElsewhere("reject");
    await card.getByText("Rejected by").waitFor();
    expect(await page.evaluate("document.activeElement.tagName")).toBe("ARTICLE");
  });

  test("is refused by the service where the page does not know yet, in words beside the button", async () => {
    const known = await page.waitForResponse(/status=pending/);
    const stale = await known.text();
    await page.route(/status=pending/, (route) =>
      route.fulfill({ contentType: "application/json", body: stale }),
    );
    await decideElsewhere("reject");
    await approve(card).click();
    await card.getByRole("alert").filter({ hasText: "The pairing request is rejected" }).waitFor();
    await page.unroute(/status=pending/);
    await expectEnded(/Rejected by your API key/);
  });
});

test("what was ticked stays as it is while the list is asked again, the device asks again and others come", async () => {
  const device = await devices.ask(application);
  const { page } = await open();
  const card = cardOf(page, device);
  const box = card.getByRole("checkbox", { name: "operator.write" });
  await box.uncheck();
  const until = await card.locator("header time").getAttribute("datetime");
  await devices.ask(application, { keyPair: device.keyPair });
  const other = await devices.ask(application, { name: "Another one" });
  await cardOf(page, other).waitFor();
  // The device has more time now: so the card shows an answer that came later.
  await eventually(async () => {
    expect(await card.locator("header time").getAttribute("datetime")).not.toBe(until);
  });
  expect(await box.isChecked()).toBe(false);
  await approve(card).getByText("Approve 1 scope only").waitFor();
  expect(await page.title()).toBe("(2) Pairing · Drawbridge");
});

test("a button that is pressed while another card takes its place does nothing, and says so", async () => {
  const first = await devices.ask(application, { name: "First" });
  const { page } = await open();
  await cardOf(page, first).waitFor();
  // As a person who aims at the first card, and presses just when the second one has come.
  await page.evaluate(`new MutationObserver((_, observer) => {
    if (document.querySelectorAll("article").length < 2) return;
    observer.disconnect();
    document.querySelector("article button.main").click();
  }).observe(document.getElementById("main"), { childList: true, subtree: true })`);
  const second = await devices.ask(application, { name: "Second" });
  await cardOf(page, second).getByText("have just moved, so nothing was done").waitFor();
  expect(await pendingRequests()).toHaveLength(2);
  // The words say to press once more: that works as soon as the cards stand still.
  await eventually(async () => {
    await approve(cardOf(page, second)).click();
    expect(await pendingRequests()).toHaveLength(1);
  });
  await cardOf(page, first).waitFor();
});

test("a paired device that asks for more says what is new, and what it has", async () => {
  const device = await devices.ask(application, { scopes: ["operator.read"] });
  await decideElsewhere("approve");
  await devices.ask(application, {
    keyPair: device.keyPair,
    scopes: ["operator.read", "operator.pairing"],
    silent: true,
  });
  const tab = await open();
  const card = cardOf(tab.page, device);
  for (const words of [/^repair/, "asks for more than it has", /^silent/]) {
    await card.getByText(words).waitFor();
  }
  await card.getByText("It has operator.read now").waitFor();
  const scope = (name: string) => card.locator("label").filter({ hasText: name });
  expect(await scope("operator.pairing").textContent()).toContain("new");
  expect(await scope("operator.read").textContent()).not.toContain("new");
  await expectNoProblems(browser, tab);
});

test("a device of several roles gets those that are ticked, and none if none is", async () => {
  const device = await devices.ask(application, {
    role: "node",
    roles: ["node", "operator"],
    scopes: ["node.run", "operator.read"],
  });
  const { page } = await open();
  const card = cardOf(page, device);
  await card.getByRole("checkbox", { name: "Role node" }).uncheck();
  await card.getByRole("checkbox", { name: "Role operator" }).uncheck();
  await card.getByText("Tick a role, or reject the request.").waitFor();
  expect(await approve(card).isDisabled()).toBe(true);
  await card.getByRole("checkbox", { name: "Role node" }).check();
  await approve(card).click();
  await page.getByRole("status").filter({ hasText: "Approved:" }).waitFor();
  expect(await device.scopes).toEqual(["node.run"]);
});

test("what a device says of itself is shown as text, and changes nothing around it", async () => {
  const markup = "<img src=x onerror=alert(1)><b>bold</b>";
  const tab = await open({ viewport: { width: 360, height: 740 } });
  const { page } = tab;
  await page.route("**/v1/pairing/requests?*", async (route) => {
    const answer = await answerOf(route);
    // The service refuses such text. Should one come through all the same, it is made harmless here too.
    for (const each of answer.data) each.platform = "\u202exunil\u0000";
    await route.fulfill({ json: answer });
  });
  const device = await devices.ask(application, { name: markup });
  const long = await devices.ask(application, { name: "W".repeat(64) });
  const card = cardOf(page, device);
  expect(await card.getByRole("heading").textContent()).toBe(markup);
  await card.getByText("‹U+202E›xunil‹U+0000›").waitFor();
  expect(await page.locator("main img, main b").count()).toBe(0);
  await cardOf(page, long).waitFor();
  await expectNoProblems(browser, tab);
  await approve(card).click();
  await page.getByRole("status").filter({ hasText: markup }).waitFor();
  await page.getByRole("row").filter({ hasText: markup }).waitFor();
  await page.mouse.move(0, 0);
  await expectNoProblems(browser, tab);
});

test("a machine whose clock is two hours wrong shows how much time is left, and can approve", async () => {
  const device = await devices.ask(application);
  const wrong: TestBrowser = {
    ...browser,
    open: async (options) => {
      const tab = await browser.open(options);
      await tab.page.addInitScript(`
        const now = Date.now.bind(Date);
        Date.now = () => now() + 2 * 3_600_000;
      `);
      return tab;
    },
  };
  const { page } = await open({}, wrong);
  const card = cardOf(page, device);
  await card.getByText(/^(5:0|4:\d)\d left$/).waitFor();
  await card.getByText(/^\d+ s ago$/).waitFor();
  await approve(card).click();
  await page.getByRole("status").filter({ hasText: "Approved:" }).waitFor();
  expect(await device.scopes).toEqual(["operator.read", "operator.write"]);
});

test("who may only read sees the requests, and which permission is missing", async () => {
  const device = await devices.ask(application);
  const { token } = await newSignInKey(at, ["devices:list"]);
  const tab = await open({ key: token });
  const card = cardOf(tab.page, device);
  await approve(card).waitFor();
  expect(await approve(card).isDisabled()).toBe(true);
  expect(await card.getByRole("button", { name: "Reject" }).isDisabled()).toBe(true);
  expect(await card.getByText("needs devices:approve").count()).toBe(2);
  await expectNoProblems(browser, tab);
});

test("a scope that the operator does not hold is marked, and refused with the service's words", async () => {
  const device = await devices.ask(application);
  const { token } = await newSignInKey(at, ["devices:list", "devices:approve", "operator.read"]);
  const { page } = await open({ key: token });
  const card = cardOf(page, device);
  await card.getByText("your key lacks it").waitFor();
  await approve(card).click();
  await card.getByRole("alert").filter({ hasText: "operator.write" }).waitFor();
  await card.getByRole("checkbox", { name: "operator.write" }).uncheck();
  await approve(card).click();
  await page.getByRole("status").filter({ hasText: "Approved:" }).waitFor();
  expect(await device.scopes).toEqual(["operator.read"]);
});

test("a setup code lets one device in without a decision", async () => {
  const tab = await open();
  const { page } = tab;
  await page.getByText("Let one device in").click();
  await page.getByRole("button", { name: "Make a setup code" }).click();
  const code = await page.locator(".setup-code code").textContent();
  await expectNoProblems(browser, tab);
  const device = await devices.ask(application, {
    setupCode: code ?? "",
    scopes: ["operator.read"],
  });
  expect(device.pending).toBe(false);
  await page
    .getByRole("row")
    .filter({ hasText: device.fingerprint })
    .getByText("Approved")
    .waitFor();
});

test("the history has one state alone if that is wanted", async () => {
  for (const name of ["One", "Two", "Three"]) {
    await devices.ask(application, { name });
    await decideElsewhere(name === "Two" ? "reject" : "approve");
  }
  const { page } = await open();
  const rows = page.getByRole("row");
  await eventually(async () => expect(await rows.count()).toBe(4));
  await page.getByLabel("Result").selectOption({ label: "Rejected" });
  await eventually(async () => expect(await rows.count()).toBe(2));
  await rows.filter({ hasText: "Two" }).waitFor();
  await page.getByLabel("Result").selectOption({ label: "Expired" });
  await page.getByText("No request that is kept has ended like this").waitFor();
});
