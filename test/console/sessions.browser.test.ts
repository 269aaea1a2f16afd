/** The page Relay sessions: what an operator sees of a session while others play, and what they do with it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AskingDevices, newApplication } from "../support/asking-devices";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";
import { hasDrawn } from "../support/drawn-colour";
import { Participant } from "../support/relay-participant";

let browser: TestBrowser;
let studio: TestOrganisation;
const sockets: Participant[] = [];

beforeAll(async () => {
  browser = await startBrowser();
  studio = await newOrganisation(browser);
});

afterAll(() => browser?.close());

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.leave();
});

async function connect(session: unknown, n: number): Promise<Participant> {
  const participant = Participant.of(session, n);
  sockets.push(participant);
  await participant.opened;
  return participant;
}

async function newSession(users: number, more: object = {}) {
  const { status, body } = await studio.api.create(users, more);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

/** The row of a list in which this text is. */
function row({ page }: Pick<Tab, "page">, text: string) {
  return page.getByRole("row").filter({ hasText: text });
}

/** Presses the button, and confirms what is asked. Gives what was asked. */
async function confirmed(tab: Tab, place: ReturnType<typeof row>, name: string): Promise<string> {
  await place.getByRole("button", { name, exact: true }).click();
  const dialog = tab.page.getByRole("dialog");
  const asked = await dialog.innerText();
  await dialog.getByRole("button", { name, exact: true }).click();
  return asked;
}

/** The kilobytes that stand in the column of this user. */
async function kilobytes(tab: Tab, user: string, column: string): Promise<number> {
  const text = await row(tab, user).locator(`[data-label="${column}"] > div`).innerText();
  return Number.parseFloat(text) * (text.endsWith("kB") ? 1 : 0.001);
}

describe("a session", () => {
  test("in which two play is watched while bytes flow, until a user is revoked and it is ended in the browser", async () => {
    const session = await newSession(2);
    const host = await connect(session, 0);
    const client = await connect(session, 1);
    const tab = await openConsole(browser, { key: studio.key, hash: "#/sessions" });
    const { page } = tab;
    await row(tab, "2 connected of 2").getByRole("link", { name: session.session_id }).click();

    await page.getByText("Looking at it does not keep it alive.").waitFor();
    for (const colour of ["--session-sent", "--session-received"]) {
      await expect.poll(() => page.evaluate(hasDrawn(colour)), { message: colour }).toBe(true);
    }
    await page
      .getByText(/^[1-9].*B\/s$/)
      .first()
      .waitFor();
    const before = await kilobytes(tab, "198.51.100.2", "Sent");
    await expect.poll(() => kilobytes(tab, "198.51.100.2", "Sent")).toBeGreaterThan(before);
    await expectNoProblems(browser, tab);

    const revoked = await confirmed(tab, row(tab, "198.51.100.2"), "Revoke");
    expect(revoked).toContain("198.51.100.2");
    expect(await client.closed).toBe(4403);
    await row(tab, "198.51.100.2").waitFor({ state: "detached" });
    // Its button is gone with the row: the focus is where this is said.
    await page.locator(":focus", { hasText: "198.51.100.2 is revoked." }).waitFor();

    const ended = await confirmed(tab, page.locator("main"), "End the session");
    expect(ended).toContain("1 connected user is disconnected at once");
    expect(await host.closed).toBe(4410);
    await page.getByText("This session has ended. Below is what it was last.").waitFor();
    // What it was stays, and nothing can be done with it.
    await row(tab, "198.51.100.1").waitFor();
    expect(await page.getByRole("button", { name: "Revoke" }).count()).toBe(0);
    expect((await studio.api.read(session.session_id)).status).toBe(404);
    await expectNoProblems(browser, tab, { allowed: [/404/] });
  });

  test("gets another host, and a user who is authorised connects with what is shown", async () => {
    const session = await newSession(2);
    const host = await connect(session, 0);
    const tab = await openConsole(browser, {
      key: studio.key,
      hash: `#/sessions/${session.session_id}`,
    });
    const { page } = tab;
    expect(await confirmed(tab, row(tab, "198.51.100.2"), "Make host")).toContain(
      "198.51.100.1 is the host now",
    );
    await row(tab, "198.51.100.2").getByText("host", { exact: true }).waitFor();
    expect(await host.closed).toBe(4503);

    await page.getByText("Authorise a user", { exact: true }).click();
    await page.getByRole("textbox", { name: "Address" }).fill("not an address");
    await page.getByRole("button", { name: "Authorise", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: "user_ip" }).waitFor();
    await page.getByRole("textbox", { name: "Address" }).fill("198.51.100.77");
    await page.getByRole("button", { name: "Authorise", exact: true }).click();
    const card = page.getByText("198.51.100.77 may connect now, as a client").locator("..");
    await card.waitFor();
    expect(await card.getByText(/^\d{3,}$/).count()).toBe(0);
    const shown = async (name: string) => {
      await card.getByRole("button", { name: `Show ${name} of the new user` }).click();
      return Number(await card.getByText(/^\d+$/).last().innerText());
    };
    const tokens = { session: await shown("session token"), user: await shown("user token") };
    const link = await card.getByText(/^ws:/).innerText();
    // Only the browser finds the host of its address.
    const reached = link.replace(new URL(browser.origin).host, new URL(browser.server.origin).host);
    const added = new Participant(reached, tokens, 2);
    sockets.push(added);
    await added.opened;
    await row(tab, "198.51.100.77").getByText("connected", { exact: true }).waitFor();
    await expectNoProblems(browser, tab, { allowed: [/400/] });
  });

  test("gets its first user, who is the host, a join code, another one, and none", async () => {
    const { session_id: id } = await newSession(0);
    const tab = await openConsole(browser, { key: studio.key, hash: `#/sessions/${id}` });
    const { page } = tab;
    await page.getByText("Nobody may connect yet.").waitFor();
    await page.getByRole("textbox", { name: "Address" }).fill("198.51.100.1");
    await page.getByRole("button", { name: "Authorise", exact: true }).click();
    await page.getByText("198.51.100.1 may connect now, as the host").waitFor();
    await row(tab, "198.51.100.1").waitFor();
    const code = async () => (await studio.api.read(id)).body.join_code;
    await page.getByRole("button", { name: "Make a join code" }).click();
    await page.getByRole("button", { name: "Show join code" }).click();
    const first = await code();
    await page.getByText(first).waitFor();
    await confirmed(tab, page.locator("main"), "Replace");
    await page.getByText(first).waitFor({ state: "detached" });
    expect(await code()).not.toBe(first);
    await confirmed(tab, page.locator("main"), "Close");
    await page.getByRole("button", { name: "Make a join code" }).waitFor();
    expect(await code()).toBeNull();
  });
});

test("an idle session ends although it is watched, in the list and by itself", async () => {
  const { session_id: id } = await newSession(1, { idle_seconds: 10 });
  const list = await openConsole(browser, { key: studio.key, hash: "#/sessions" });
  await row(list, id).waitFor();
  const one = await openConsole(browser, { key: studio.key, hash: `#/sessions/${id}` });
  await one.page.getByText("Looking at it does not keep it alive.").waitFor();
  await one.page.getByText("This session has ended.").waitFor();
  await row(list, id).waitFor({ state: "detached" });
});

test("metadata is shown as the text that it is", async () => {
  const hostile = `<img src=x onerror="document.title='gone'">\u200b\u2066`;
  const made = await studio.api.create(1, { metadata: { "<b>map</b>": hostile } });
  // Marks of direction are refused; what remains is markup, and what is not seen.
  expect(made.status).toBe(400);
  const metadata = { "<b>map</b>": hostile.replace("\u2066", "") };
  const { session_id: id } = await newSession(1, { metadata });
  const tab = await openConsole(browser, {
    key: studio.key,
    hash: "#/sessions",
    viewport: { width: 360, height: 740 },
  });
  const { page } = tab;
  await row(tab, id).getByText("<b>map</b>: <img").waitFor();
  await expectNoProblems(browser, tab);
  await row(tab, id).getByRole("link").click();
  await page.getByText(`<img src=x onerror="document.title='gone'">‹U+200B›`).waitFor();
  expect(await page.title()).toBe("Relay sessions · Drawbridge");
  await expectNoProblems(browser, tab);
});

test("who may only read sees all, and is told what is missing for the rest", async () => {
  const { session_id: id, session_users: users } = await newSession(2);
  const { token } = await newSignInKey(studio, ["relays:read"]);
  const tab = await openConsole(browser, { key: token, hash: `#/sessions/${id}` });
  const { page } = tab;
  await row(tab, "198.51.100.2").waitFor();
  const end = page.getByRole("button", { name: "End the session" });
  expect(await end.isDisabled()).toBe(true);
  await end.locator("..").getByText("needs relays:write").waitFor();
  for (const button of await page.getByRole("button", { name: "Revoke" }).all()) {
    expect(await button.isDisabled()).toBe(true);
  }
  // A credential is there for whoever asks for it, and not for those who look on.
  const secret = String(users[1].authorization_token);
  expect(await page.content()).not.toContain(secret);
  await page.getByRole("button", { name: "Show token of 198.51.100.2" }).click();
  await page.getByText(secret).waitFor();
  await expectNoProblems(browser, tab);
});

test("the list is narrowed to the sessions of one device", async () => {
  const device = "5e".repeat(32);
  const { session_id: id } = await newSession(0, {
    users: [{ ip: "198.51.100.1", device_id: device }],
  });
  const { session_id: other } = await newSession(1);
  const tab = await openConsole(browser, { key: studio.key, hash: "#/sessions" });
  const { page } = tab;
  const filter = page.getByLabel("Only those of the device");
  await filter.fill(device.slice(1));
  await page.getByText("Not a device id yet: all sessions are shown.").waitFor();
  await row(tab, other).waitFor();
  await filter.fill(device);
  await row(tab, other).waitFor({ state: "detached" });
  await row(tab, id).waitFor();
  await filter.fill("00".repeat(32));
  await page.getByText("This device is in no live session.").waitFor();
});

test("the device of a user is found in the application with which it is paired", async () => {
  const application = await newApplication(studio, "Gateway");
  const devices = new AskingDevices(browser);
  const path = `/v1/applications/${application}/setup-codes`;
  const scopes = ["operator.read"];
  const code = await studio.api.call("POST", path, { role: "operator", scopes, ttl_seconds: 60 });
  const device = await devices.ask(application, { scopes, setupCode: code.body.setup_code });
  await device.token;
  // It is asked first, and does not know the device.
  await newApplication(studio, "Newer");
  const { session_id: id } = await newSession(0, {
    users: [
      { ip: "198.51.100.1", device_id: device.deviceId },
      { ip: "198.51.100.2", device_id: "never-paired" },
    ],
  });
  const tab = await openConsole(browser, { key: studio.key, hash: `#/sessions/${id}` });
  const { page } = tab;
  await row(tab, "never-paired").getByRole("button", { name: "Open" }).click();
  await page.getByText("None of your applications has paired this device.").waitFor();
  await row(tab, "198.51.100.1").getByRole("button", { name: "Open" }).click();
  await page.waitForURL(`**/console#/devices/${application}/${device.deviceId}`);
  await page.getByText(device.deviceId).waitFor();
});

test("it says which permission is missing between the connections of a session, until it is there", async () => {
  const permit = (connectionId: string, remoteConnectionId: string, direction: string) =>
    studio.api.call("POST", "/relay/permission", {
      connectionId,
      remoteConnectionId,
      direction,
      enabled: "true",
    });
  for (const connectionId of ["plant-a", "plant-b"]) {
    await studio.api.call("POST", "/connections/definition", { connectionId });
  }
  await permit("plant-a", "plant-b", "send");
  const { session_id: id } = await newSession(0, {
    users: [
      { ip: "198.51.100.1", connection_id: "plant-a" },
      { ip: "198.51.100.2", connection_id: "plant-b" },
    ],
  });
  const tab = await openConsole(browser, {
    key: studio.key,
    hash: `#/sessions/${id}`,
    colorScheme: "dark",
    viewport: { width: 360, height: 740 },
  });
  const ways = tab.page.getByRole("table", { name: /^Permissions/ }).getByRole("row");
  // The header, and the two ways.
  const there = ways.nth(1);
  const back = ways.nth(2);
  await there.getByText("plant-b may not receive from plant-a: there is no such").waitFor();
  await back.getByText("plant-b may not send to plant-a: there is no such").waitFor();
  await permit("plant-b", "plant-a", "receive");
  await there.getByText("pass").waitFor();
  await back.getByText("dropped").waitFor();
  await expectNoProblems(browser, tab);
});
