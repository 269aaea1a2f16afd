/** The console's page Pairing: an operator decides in Chromium while devices ask in this process. */
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { TestBrowser } from "../support/browser";
import { expectNoProblems, newSignInKey } from "../support/console";
import { eventually } from "../support/eventually";
import { approveButton, cardOf, pairingConsole, said } from "../support/pairing-console";

const own = pairingConsole();

test("a device gets exactly the scopes that its operator has left ticked, and the request that was shown is approved", async () => {
  const tab = await own.open();
  const { page } = tab;
  await page.getByText("No device waits for a decision").waitFor();
  const device = await own.devices.ask(own.application, {
    scopes: ["operator.read", "operator.write", "operator.pairing"],
  });
  const [asked] = await own.pendingRequests();
  const card = cardOf(page, device);
  await card.getByText("Anna's laptop").waitFor();
  expect(await page.title()).toBe("(1) Pairing · Drawbridge");
  await expectNoProblems(own.browser, tab);
  await card.getByRole("checkbox", { name: "operator.write" }).uncheck();
  await card.getByRole("checkbox", { name: "operator.pairing" }).uncheck();
  const sent = page.waitForRequest(/:approve$/);
  await card.getByRole("button", { name: "Approve operator.read only" }).click();
  expect((await sent).postDataJSON()).toEqual({
    digest: asked.digest,
    roles: ["operator"],
    scopes: ["operator.read"],
  });
  const done = said(page, "Approved: Anna's laptop");
  await done.waitFor();
  expect(await done.evaluate("document.activeElement.textContent")).toContain("Approved");
  expect(await device.scopes).toEqual(["operator.read"]);
  const token = await device.token;
  const verified = await own.at.api.call("POST", "/v1/devices:verify", { token });
  expect(verified.body).toMatchObject({ valid: true, scopes: ["operator.read"] });
  await card.waitFor({ state: "detached" });
  const row = page.getByRole("row").filter({ hasText: device.fingerprint });
  await row.getByText("operator.read (asked for 3)").waitFor();
  expect(await page.title()).toBe("Pairing · Drawbridge");
  await expectNoProblems(own.browser, tab);
});

test("the keyboard leads to the button in as many stops as there are boxes, and back to what was done", async () => {
  const device = await own.devices.ask(own.application, {
    scopes: ["operator.read", "operator.pairing"],
  });
  const { page } = await own.open();
  await approveButton(cardOf(page, device)).waitFor();
  // So that the keyboard begins at the start of the page.
  await page.reload();
  await approveButton(cardOf(page, device)).waitFor();
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press("Tab");
  expect(await focused(page)).toBe("Skip to the page");
  await press("Enter", "Tab", "Tab", "Space", "Tab");
  expect(await focused(page)).toBe("Approve operator.read only");
  await press("Enter");
  await said(page, "Approved:").waitFor();
  expect(await focused(page)).toContain("operator.read");
  expect(await device.scopes).toEqual(["operator.read"]);
});

const focused = (page: Page) => page.evaluate<string>("document.activeElement.textContent");

test("a rejection has a reason for the other operators, and the device is told that it was rejected", async () => {
  const device = await own.devices.ask(own.application);
  const { page } = await own.open();
  const card = cardOf(page, device);
  await card.getByRole("button", { name: "Reject" }).click();
  await card.getByLabel("Reason").fill("Nobody knows it");
  await card.getByRole("button", { name: "Reject", exact: true }).click();
  await said(page, "Rejected: Anna's laptop").waitFor();
  const row = page.getByRole("row").filter({ hasText: device.fingerprint });
  await row.getByText("Nobody knows it").waitFor();
  await expect(device.token).rejects.toMatchObject({ code: "rejected" });
});

test("a paired device that asks for more says what is new, and what it has", async () => {
  const device = await own.devices.ask(own.application, { scopes: ["operator.read"] });
  await own.decideElsewhere("approve");
  await own.devices.ask(own.application, {
    keyPair: device.keyPair,
    scopes: ["operator.read", "operator.pairing"],
    silent: true,
  });
  const tab = await own.open();
  const card = cardOf(tab.page, device);
  for (const words of [/^repair/, "asks for more than it has", /^silent/]) {
    await card.getByText(words).waitFor();
  }
  await card.getByText("It has operator.read now").waitFor();
  const scope = (name: string) => card.locator("label").filter({ hasText: name });
  expect(await scope("operator.pairing").textContent()).toContain("new");
  expect(await scope("operator.read").textContent()).not.toContain("new");
  await expectNoProblems(own.browser, tab);
});

test("a device of several roles gets those that are ticked, and none if none is", async () => {
  const device = await own.devices.ask(own.application, {
    role: "node",
    roles: ["node", "operator"],
    scopes: ["node.run", "operator.read"],
  });
  const { page } = await own.open();
  const card = cardOf(page, device);
  await card.getByRole("checkbox", { name: "Role node" }).uncheck();
  await card.getByRole("checkbox", { name: "Role operator" }).uncheck();
  await card.getByText("Tick a role, or reject the request.").waitFor();
  expect(await approveButton(card).isDisabled()).toBe(true);
  await card.getByRole("checkbox", { name: "Role node" }).check();
  await approveButton(card).click();
  await said(page, "Approved:").waitFor();
  expect(await device.scopes).toEqual(["node.run"]);
});

test("what a device says of itself is shown as text, and changes nothing around it", async () => {
  const markup = "<img src=x onerror=alert(1)><b>bold</b>";
  const tab = await own.open({ viewport: { width: 360, height: 740 } });
  const { page } = tab;
  await page.route("**/v1/pairing/requests?*", async (route) => {
    const answer = await own.answerOf(route);
    // The service refuses such text. Should one come through all the same, it is made harmless here too.
    for (const each of answer.data) each.platform = "\u202exunil\u0000";
    await route.fulfill({ json: answer });
  });
  const device = await own.devices.ask(own.application, { name: markup });
  const long = await own.devices.ask(own.application, { name: "W".repeat(64) });
  const card = cardOf(page, device);
  expect(await card.getByRole("heading").textContent()).toBe(markup);
  await card.getByText("‹U+202E›xunil‹U+0000›").waitFor();
  expect(await page.locator("main img, main b").count()).toBe(0);
  await cardOf(page, long).waitFor();
  await expectNoProblems(own.browser, tab);
  await approveButton(card).click();
  await said(page, markup).waitFor();
  await page.getByRole("row").filter({ hasText: markup }).waitFor();
  await page.mouse.move(0, 0);
  await expectNoProblems(own.browser, tab);
});

test("a machine whose clock is two hours wrong shows how much time is left, and can approve", async () => {
  const device = await own.devices.ask(own.application);
  const wrong: TestBrowser = {
    ...own.browser,
    open: async (options) => {
      const tab = await own.browser.open(options);
      await tab.page.addInitScript(`
        const now = Date.now.bind(Date);
        Date.now = () => now() + 2 * 3_600_000;
      `);
      return tab;
    },
  };
  const { page } = await own.open({}, wrong);
  const card = cardOf(page, device);
  await card.getByText(/^(5:0|4:\d)\d left$/).waitFor();
  await card.getByText(/^\d+ s ago$/).waitFor();
  await approveButton(card).click();
  await said(page, "Approved:").waitFor();
  expect(await device.scopes).toEqual(["operator.read", "operator.write"]);
});

test("who may only read sees the requests, and which permission is missing", async () => {
  const device = await own.devices.ask(own.application);
  const { token } = await newSignInKey(own.at, ["devices:list"]);
  const tab = await own.open({ key: token });
  const card = cardOf(tab.page, device);
  await approveButton(card).waitFor();
  expect(await approveButton(card).isDisabled()).toBe(true);
  expect(await card.getByRole("button", { name: "Reject" }).isDisabled()).toBe(true);
  expect(await card.getByText("needs devices:approve").count()).toBe(2);
  await expectNoProblems(own.browser, tab);
});

test("a scope that the operator does not hold is marked, and refused with the service's words", async () => {
  const device = await own.devices.ask(own.application);
  const { token } = await newSignInKey(own.at, [
    "devices:list",
    "devices:approve",
    "operator.read",
  ]);
  const { page } = await own.open({ key: token });
  const card = cardOf(page, device);
  await card.getByText("your key lacks it").waitFor();
  await approveButton(card).click();
  await card.getByRole("alert").filter({ hasText: "operator.write" }).waitFor();
  await card.getByRole("checkbox", { name: "operator.write" }).uncheck();
  await approveButton(card).click();
  await said(page, "Approved:").waitFor();
  expect(await device.scopes).toEqual(["operator.read"]);
});

test("a setup code lets one device in without a decision", async () => {
  const tab = await own.open();
  const { page } = tab;
  await page.getByText("Let one device in").click();
  await page.getByRole("button", { name: "Make a setup code" }).click();
  const code = await page.locator(".setup-code code").textContent();
  await expectNoProblems(own.browser, tab);
  const device = await own.devices.ask(own.application, {
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
    await own.devices.ask(own.application, { name });
    await own.decideElsewhere(name === "Two" ? "reject" : "approve");
  }
  const { page } = await own.open();
  const rows = page.getByRole("row");
  await eventually(async () => expect(await rows.count()).toBe(4));
  await page.getByLabel("Result").selectOption({ label: "Rejected" });
  await eventually(async () => expect(await rows.count()).toBe(2));
  await rows.filter({ hasText: "Two" }).waitFor();
  await page.getByLabel("Result").selectOption({ label: "Expired" });
  await page.getByText("No request that is kept has ended like this").waitFor();
});
