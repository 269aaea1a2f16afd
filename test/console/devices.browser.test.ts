/** The console's page Devices: what operators see of paired devices, and change. */
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { type AskingDevice, newApplication } from "../support/asking-devices";
import { expectLoaded, expectNoProblems, newOrganisation, newSignInKey } from "../support/console";
import { eventually } from "../support/eventually";
import { pairingConsole, said } from "../support/pairing-console";

const own = pairingConsole();

/** A device that was let in with all that it asks for, and has its token. */
async function paired(
  name = "Anna's laptop",
  scopes = ["operator.read", "operator.write"],
): Promise<AskingDevice> {
  // A setup code spares the wait for the next poll.
  const path = `/v1/applications/${own.application}/setup-codes`;
  const code = await own.at.api.call("POST", path, { role: "operator", scopes, ttl_seconds: 60 });
  const device = await own.devices.ask(own.application, {
    name,
    scopes,
    setupCode: code.body.setup_code,
  });
  await device.token;
  return device;
}

const addressOf = ({ deviceId }: AskingDevice) => `#/devices/${own.application}/${deviceId}`;

async function verify(token: string) {
  return (await own.at.api.call("POST", "/v1/devices:verify", { token })).body;
}

/** Confirms what is asked. */
async function confirm(page: Page, verb: string): Promise<void> {
  await page.getByRole("dialog").getByRole("button", { name: verb }).click();
}

test("a new organisation makes its first application here, and is told how a device pairs", async () => {
  const other = await newOrganisation(own.browser);
  const tab = await own.open({ hash: "#/devices", key: other.key });
  const { page } = tab;
  await page.getByText("There is no application yet").waitFor();
  await page.getByText("/v1/applications -H").waitFor();
  await expectNoProblems(own.browser, tab);
  await page.getByLabel("Name").fill("Front gate");
  await page.getByRole("button", { name: "Make the application" }).click();
  await said(page, "The application Front gate is there.").waitFor();
  await page.getByText("No device is paired with this application").waitFor();
  const id = (await other.api.call("GET", "/v1/applications")).body.data[0].id;
  expect(new URL(page.url()).hash).toBe(`#/devices/${id}`);
  await page.getByText(`node docs/pairing-device.mjs ${own.browser.origin} ${id}`).waitFor();
  await page.mouse.move(0, 0);
  await expectNoProblems(own.browser, tab);
});

test("the list has the devices of the application that is chosen, and leads to each", async () => {
  const empty = await newApplication(own.at, "Empty");
  const device = await paired("<i>Anna</i>");
  const tab = await own.open({ hash: `#/devices/${own.application}` });
  const { page } = tab;
  const row = page.getByRole("row").filter({ hasText: device.fingerprint });
  await row.getByText("active").waitFor();
  await row.getByText("operator.read, operator.write").waitFor();
  await expectNoProblems(own.browser, tab);
  await page.getByLabel("Application").selectOption(empty);
  await page.getByText("No device is paired with this application").waitFor();
  await page.getByLabel("Application").selectOption(own.application);
  await row.getByRole("link", { name: "<i>Anna</i>" }).click();
  await page.getByRole("heading", { level: 1, name: "<i>Anna</i>" }).waitFor();
  await page.getByText(device.deviceId).waitFor();
  await expectNoProblems(own.browser, tab);
});

test("a device is renamed, and what it calls itself still stands there", async () => {
  const device = await paired();
  const { page } = await own.open({ hash: addressOf(device) });
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByLabel("Name").fill("Front desk");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Front desk" }).waitFor();
  await page.getByText("Anna's laptop").waitFor();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByLabel("Name").fill("");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "Anna's laptop" }).waitFor();
});

test("a rotation with fewer scopes stops the old token, and the device gets one that carries them", async () => {
  const device = await paired();
  const { page } = await own.open({ hash: addressOf(device) });
  await page.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("checkbox", { name: "operator.write" }).uncheck();
  await page.getByRole("button", { name: "Rotate", exact: true }).click();
  await said(page, "The old token of the role operator has stopped").waitFor();
  await page.getByText("not collected yet").waitFor();
  expect(await verify(await device.token)).toMatchObject({ valid: false, code: "revoked" });
  const again = await own.devices.ask(own.application, {
    keyPair: device.keyPair,
    scopes: ["operator.read"],
  });
  expect(await again.scopes).toEqual(["operator.read"]);
  await page.getByText("active").waitFor();
});

test("a revoked token works no longer, and says that only a new approval helps", async () => {
  const device = await paired();
  const { page } = await own.open({ hash: addressOf(device) });
  await page.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByText("Anna's laptop").waitFor();
  await confirm(page, "Revoke");
  await said(page, "The token of the role operator is revoked.").waitFor();
  await page.getByText("Only a new approval brings it back.").waitFor();
  expect(await verify(await device.token)).toMatchObject({ valid: false, code: "revoked" });
});

test("before a device is removed its live sessions are named, and afterwards it is gone", async () => {
  const device = await paired();
  const users = [{ ip: "198.51.100.1", device_id: device.deviceId }, { ip: "198.51.100.2" }];
  const session = await own.at.api.call("POST", "/v1/relays/sessions", { users });
  const other = await own.at.api.create(2);
  const tab = await own.open({ hash: addressOf(device) });
  const { page } = tab;
  await page.getByRole("button", { name: "Remove" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("It is in one live relay session").waitFor();
  await dialog.getByText(session.body.session_id).waitFor();
  expect(await dialog.getByText(other.body.session_id).count()).toBe(0);
  await expectNoProblems(own.browser, tab);
  await confirm(page, "Remove");
  await said(page, "Anna's laptop is removed.").waitFor();
  expect(await page.evaluate("document.activeElement.textContent")).toContain("is removed");
  expect(await verify(await device.token)).toMatchObject({ valid: false, code: "device-removed" });
  await page.getByRole("link", { name: "All devices" }).click();
  await page.getByText("No device is paired with this application").waitFor();
});

test("a device that is removed while it is looked at can no longer be changed", async () => {
  const device = await paired();
  const { page } = await own.open({ hash: addressOf(device) });
  await page.getByRole("button", { name: "Remove" }).waitFor();
  const path = `/v1/applications/${own.application}/devices/${device.deviceId}`;
  expect((await own.at.api.call("DELETE", path)).status).toBe(204);
  await page.getByText("There is no such device").waitFor();
  expect(await page.getByRole("button", { name: "Remove" }).count()).toBe(0);
});

test("who may only read can change nothing, and sees which permission is missing", async () => {
  const device = await paired();
  const { token } = await newSignInKey(own.at, ["devices:list"]);
  const tab = await own.open({ hash: addressOf(device), key: token });
  const { page } = tab;
  await expectLoaded(tab);
  for (const verb of ["Rename", "Rotate", "Revoke", "Remove"]) {
    const button = page.getByRole("button", { name: verb });
    await eventually(async () => expect(await button.isDisabled(), verb).toBe(true));
  }
  await page.getByText("needs devices:remove").waitFor();
  await page.getByText("Which live sessions it has cannot be shown").waitFor();
  await expectNoProblems(own.browser, tab);
});
