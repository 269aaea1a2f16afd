/** Pairing requests that change, end or move in the console while an operator looks at them. */
import type { Locator, Page } from "playwright-core";
import { beforeEach, describe, expect, test } from "vitest";
import type { AskingDevice } from "../support/asking-devices";
import { eventually } from "../support/eventually";
import { approveButton, cardOf, pairingConsole } from "../support/pairing-console";

const own = pairingConsole();

describe("a request that ends while it is looked at", () => {
  let device: AskingDevice;
  let page: Page;
  let card: Locator;

  beforeEach(async () => {
    device = await own.devices.ask(own.application);
    ({ page } = await own.open());
    card = cardOf(page, device);
    await approveButton(card).waitFor();
  });

  const expectEnded = async (words: RegExp) => {
    await card.getByText(words).waitFor();
    expect(await approveButton(card).count()).toBe(0);
    expect(await card.getByRole("checkbox").first().isDisabled()).toBe(true);
    await card.getByRole("button", { name: "Dismiss" }).click();
    await card.waitFor({ state: "detached" });
  };

  test("stays where it was and says that another operator has approved it", async () => {
    await own.decideElsewhere("approve", { scopes: ["operator.read"] });
    await expectEnded(/Approved by your API key.*It was given operator\.read\./);
  });

  test("says that another operator has rejected it, and why", async () => {
    await own.decideElsewhere("reject", { reason: "A stranger" });
    await expectEnded(/Rejected by your API key.*Reason: A stranger/);
  });

  test("says that the device has asked for something else, and the new request has a card of its own", async () => {
    await own.devices.ask(own.application, {
      keyPair: device.keyPair,
      scopes: ["operator.read", "operator.write", "operator.pairing"],
    });
    const both = cardOf(page, device);
    await eventually(async () => expect(await both.count()).toBe(2));
    expect(await both.nth(0).getByRole("checkbox").count()).toBe(3);
    card = both.nth(1);
    await card.getByText("The device has asked for something else").waitFor();
    expect(await approveButton(card).count()).toBe(0);
    await card.getByRole("button", { name: "Dismiss" }).click();
    await eventually(async () => expect(await both.count()).toBe(1));
    await approveButton(both).waitFor();
  });

  test("says that its time is over when the service says so", async () => {
    await page.route("**/v1/pairing/requests?*", async (route) => {
      const { data, ...rest } = await own.answerOf(route);
      // As the service lists a request whose time is over: not among those that wait.
      const asksPending = route.request().url().includes("status=pending");
      const expired = data.map((each: object) => ({ ...each, status: "expired" }));
      await route.fulfill({ json: { data: asksPending ? [] : expired, ...rest } });
    });
    await expectEnded(/Nobody decided in time/);
  });

  test("keeps the focus, if it was there, and is not approved by the key that was about to be pressed", async () => {
    await approveButton(card).focus();
    await own.decideElsewhere("reject");
    await card.getByText("Rejected by").waitFor();
    expect(await page.evaluate("document.activeElement.tagName")).toBe("ARTICLE");
  });

  test("is refused by the service where the page does not know yet, in words beside the button", async () => {
    const known = await page.waitForResponse(/status=pending/);
    const stale = await known.text();
    await page.route(/status=pending/, (route) =>
      route.fulfill({ contentType: "application/json", body: stale }),
    );
    await own.decideElsewhere("reject");
    await approveButton(card).click();
    await card.getByRole("alert").filter({ hasText: "The pairing request is rejected" }).waitFor();
    await page.unroute(/status=pending/);
    await expectEnded(/Rejected by your API key/);
  });
});

test("what was ticked stays as it is while the list is asked again, the device asks again and others come", async () => {
  const device = await own.devices.ask(own.application);
  const { page } = await own.open();
  const card = cardOf(page, device);
  const box = card.getByRole("checkbox", { name: /^operator\.write/ });
  const place = await approveButton(card).boundingBox();
  await box.uncheck();
  // There is one more box now, and the buttons have not moved away from the pointer.
  await card.getByText("part of operator.write").waitFor();
  expect((await approveButton(card).boundingBox())?.y).toBe(place?.y);
  const until = await card.locator("header time").getAttribute("datetime");
  await own.devices.ask(own.application, { keyPair: device.keyPair });
  const other = await own.devices.ask(own.application, { name: "Another one" });
  await cardOf(page, other).waitFor();
  // The device has more time now: so the card shows an answer that came later.
  await eventually(async () => {
    expect(await card.locator("header time").getAttribute("datetime")).not.toBe(until);
  });
  expect(await box.isChecked()).toBe(false);
  await approveButton(card).getByText("Approve operator.read only").waitFor();
  expect(await page.title()).toBe("(2) Pairing · Drawbridge");
});

test("a button that is pressed while another card takes its place does nothing, and says so", async () => {
  const first = await own.devices.ask(own.application, { name: "First" });
  const { page } = await own.open();
  await cardOf(page, first).waitFor();
  // As a person who aims at the first card, and presses just when the second one has come.
  await page.evaluate(`new MutationObserver((_, observer) => {
    if (document.querySelectorAll("article").length < 2) return;
    observer.disconnect();
    document.querySelector("article button.main").click();
  }).observe(document.getElementById("main"), { childList: true, subtree: true })`);
  const second = await own.devices.ask(own.application, { name: "Second" });
  await cardOf(page, second).getByText("have just moved, so nothing was done").waitFor();
  expect(await own.pendingRequests()).toHaveLength(2);
  // The words say to press once more: that works as soon as the cards stand still.
  await eventually(async () => {
    const button = approveButton(cardOf(page, second));
    // Once it has worked it is gone, while the test still looks for what it has done.
    if ((await button.count()) > 0) await button.click({ timeout: 2_000 });
    expect(await own.pendingRequests()).toHaveLength(1);
  });
  await cardOf(page, first).waitFor();
});
