/** The page Events in Chromium. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectLoaded,
  expectNoProblems,
  goTo,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";
import { eventually } from "../support/eventually";
import { eventOf, journalOf } from "../support/journal-rows";

const HOSTILE = '<img src=x onerror="window.hit = 1"> \u202egnp.exe\u202c "quoted"';

let browser: TestBrowser;
let organisation: TestOrganisation;
let tab: Tab;

beforeAll(async () => {
  browser = await startBrowser();
});

beforeEach(async () => {
  organisation = await newOrganisation(browser);
  tab = await openConsole(browser, { key: organisation.key, hash: "#/events" });
  await expectLoaded(tab);
});

afterEach(async () => {
  await expectNoProblems(browser, tab);
  await tab.page.context().close();
});

afterAll(() => browser?.close());

const main = () => tab.page.getByRole("main");
const rows = () =>
  tab.page.getByRole("table", { name: "Events" }).locator("tbody").getByRole("row");
const types = () => rows().locator("td:first-child").allInnerTexts();

async function registerConnection(connectionId: string): Promise<void> {
  const body = { connectionId };
  const made = await organisation.api.call("POST", "/api/v2/connections/definition", body);
  expect(made.status).toBe(201);
}

/** Waits until the API lists as many events: the page shows no more than that. */
function recorded(count: number) {
  return eventually(async () => {
    const { body } = await organisation.api.call("GET", "/v1/events");
    expect(body.data.length).toBe(count);
    return body.data;
  });
}

test("an event appears at the top without a click", async () => {
  await main().getByText("Nothing has happened yet.").waitFor();
  await main().getByText(`${browser.origin}/api/v2/connections/definition`).waitFor();
  await registerConnection("plant-a");
  await rows().getByText("plant-a").waitFor();
  await registerConnection("plant-b");
  await rows().getByText("plant-b").waitFor();
  expect(await rows().first().innerText()).toMatch(/connection\.created\s+plant-b/);
});

test("the feed shows one kind of events, from a time on, and its address keeps that", async () => {
  await registerConnection("plant-a");
  await organisation.api.create(1);
  await recorded(2);
  await tab.page.getByLabel("Event").selectOption("session.*");
  await expect.poll(types).toEqual(["session.active"]);
  await tab.page.reload();
  await expect.poll(types).toEqual(["session.active"]);
  await tab.page.getByLabel("Since").fill("2099-01-01T00:00");
  await main().getByText("No event matches.").waitFor();
  await tab.page.getByRole("button", { name: "Show all" }).click();
  await expect
    .poll(async () => (await types()).toSorted())
    .toEqual(["connection.created", "session.active"]);
  await tab.page.goBack();
  await main().getByText("No event matches.").waitFor();
});

test("an event is shown in full, with links to what it is about", async () => {
  await organisation.api.create(1, { metadata: { map: '<b>"harbour"</b>' } });
  const [event] = await recorded(1);
  await rows().getByRole("link", { name: "session.active" }).click();
  await expectLoaded(tab);
  expect(JSON.parse(await tab.page.locator(".payload").innerText())).toEqual(event);
  const links = main().locator(".facts a");
  const addresses = await links.evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  expect(addresses).toContain(`#/sessions/${event.data.id}`);
  expect(addresses).toContain(`#/keys/${event.data.key_id}`);
});

test("text of others in an event is shown as text, whatever it contains, and copied as it came", async () => {
  // The service takes no such text any more. It may have before.
  const data = { connection: { connectionId: HOSTILE, memo: HOSTILE.repeat(100) } };
  const journal = await journalOf(browser.server, organisation.id);
  await journal.record([eventOf(organisation.id, "connection.created", data)]);
  await tab.page.setViewportSize({ width: 360, height: 800 });
  await rows().getByText("‹U+202E›gnp.exe‹U+202C›").waitFor();
  await expectNoProblems(browser, tab);
  await rows().getByRole("link", { name: "connection.created" }).click();
  await expectLoaded(tab);
  const payload = tab.page.locator(".payload");
  expect(await payload.innerText()).toContain(
    '<img src=x onerror=\\"window.hit = 1\\"> ‹U+202E›gnp.exe‹U+202C›',
  );
  expect(await payload.locator("*").count()).toBe(0);
  expect(await tab.page.evaluate("window.hit")).toBeUndefined();
  await tab.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await tab.page.getByRole("button", { name: "Copy the event" }).click();
  const [event] = await recorded(1);
  await expect
    .poll(async () => JSON.parse(await tab.page.evaluate("navigator.clipboard.readText()")))
    .toEqual(event);
});

test("the feed has pages, and the first one goes on while an older one is read", async () => {
  for (let n = 0; n < 31; n += 1) await registerConnection(`plant-${n}`);
  await eventually(async () => {
    const { body } = await organisation.api.call("GET", "/v1/events?limit=100");
    expect(body.data.length).toBe(31);
  });
  await expect.poll(() => rows().count()).toBe(30);
  await tab.page.getByRole("button", { name: "Older" }).click();
  await expect.poll(() => rows().count()).toBe(1);
  await rows().getByText("plant-0", { exact: true }).waitFor();
  await registerConnection("newest");
  await tab.page.getByRole("button", { name: "Newer" }).click();
  await rows().getByText("newest").waitFor();
});

test("an event that does not exist says so", async () => {
  await tab.page.goto("/console#/events/01a21576-9b07-799e-bdd0-52ed60dbc868");
  await main().getByText("There is no such event.").waitFor();
  tab.errors.splice(0);
});

test("a key without events:read sees which permission is missing", async () => {
  await tab.page.context().close();
  const key = await newSignInKey(organisation, ["webhooks:read"]);
  tab = await openConsole(browser, { key: key.token, hash: "#/events" });
  await main().getByText("events:read").waitFor();
  await goTo(tab, "#/webhooks");
});
