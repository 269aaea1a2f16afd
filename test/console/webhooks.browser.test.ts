/** The page Webhooks in Chromium, against a receiver that does what a test says. */
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Api } from "../support/api";
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
import { journalOf, recordDelivered } from "../support/journal-rows";
import { createMailbox, type Mailbox } from "../support/receiver";
import { startReceiver } from "../support/receiver-server";

/** An answer that would take over a page that shows it carelessly: markup, direction, 64 KB. */
const HOSTILE = `<img src=x onerror="window.hit = 1"><script>window.hit = 2</script><b>bold</b> \u202egnp.exe\u202c\u0007 ${"long".repeat(16_384)}`;

/** What Chromium writes for an answer that a test wants. */
const REFUSED = [/status of 4(00|09)/];

let browser: TestBrowser;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let organisation: TestOrganisation;
let mailbox: Mailbox;
let tab: Tab;

beforeAll(async () => {
  receiver = await startReceiver();
  browser = await startBrowser({
    // Two attempts, so that a delivery fails soon.
    settings: { ALLOW_INSECURE_WEBHOOKS: "1", WEBHOOK_RETRY_SECONDS: "1" },
  });
});

beforeEach(async () => {
  organisation = await newOrganisation(browser);
  mailbox = createMailbox(receiver.url);
  tab = await openConsole(browser, { key: organisation.key, hash: "#/webhooks" });
});

afterEach(async () => {
  await expectNoProblems(browser, tab, { allowed: REFUSED });
  await tab.page.context().close();
});

afterAll(async () => {
  await browser?.close();
  await receiver?.close();
});

/** Makes an endpoint as a program does. A receiver on the host at which the API is called would be refused. */
async function newEndpoint(fields: object = {}): Promise<{ id: string; secret: string }> {
  const origin = browser.server.origin.replace("127.0.0.1", "localhost");
  const api = new Api({ origin }, organisation.key);
  const made = await api.call("POST", "/v1/webhooks/endpoints", { url: mailbox.url, ...fields });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body;
}

const readEndpoint = async (id: string) =>
  (await organisation.api.call("GET", `/v1/webhooks/endpoints/${id}`)).body;

/** Makes an event that does nothing but be told. */
async function registerConnection(connectionId: string): Promise<void> {
  const made = await organisation.api.call("POST", "/api/v2/connections/definition", {
    connectionId,
  });
  expect(made.status).toBe(201);
}

/** Waits until the deliveries of an organisation have these states. Gives the newest. */
function deliveries(...statuses: string[]) {
  return eventually(async () => {
    const { body } = await organisation.api.call("GET", "/v1/webhooks/deliveries");
    expect(body.data.map(({ status }: { status: string }) => status)).toEqual(statuses);
    return body.data[0];
  });
}

const button = (name: string) => tab.page.getByRole("button", { name, exact: true });
const main = () => tab.page.getByRole("main");
const dialog = () => tab.page.getByRole("dialog");
const rows = (label: string) =>
  tab.page.getByRole("table", { name: label }).locator("tbody").getByRole("row");

test("a webhook that fails is seen, and recovered when its receiver works again", async () => {
  const { page } = tab;
  await mailbox.answer({ kind: "status", status: 503, body: "down for maintenance" });
  await main().getByText("There is no endpoint yet").waitFor();

  await button("New endpoint").click();
  await page.getByLabel("Address").fill(mailbox.url);
  await page.getByLabel("Description").fill("Billing");
  await button("Make the endpoint").click();
  const made = page.getByRole("region", { name: "The new endpoint" });
  const secret = await made.locator("code").innerText();
  await registerConnection("plant-a");
  await deliveries("failed");

  await page.getByRole("link", { name: "Deliveries" }).click();
  await page.getByLabel("Status").selectOption("failed");
  const row = rows("Deliveries").filter({ hasText: "503" });
  await row.getByRole("link", { name: "connection.created" }).click();
  await main().getByText("No attempt is planned any more").waitFor();
  const attempts = page.locator(".attempt");
  expect(await attempts.count()).toBe(2);
  expect(await attempts.first().innerText()).toMatch(
    /Attempt 2 503 The receiver has failed\.[\s\S]*took \d+ ms[\s\S]*down for maintenance/,
  );
  expect(await page.locator(".payload").innerText()).toContain('"connectionId": "plant-a"');

  await mailbox.answer({ kind: "status", status: 204 });
  await page.getByRole("link", { name: /^whe_/ }).click();
  await page.getByText("failing", { exact: true }).waitFor();
  await button("Last hour").click();
  await button("Send again what did not arrive").click();
  const progress = page.getByRole("region", { name: "The recovery" });
  await progress.getByText(/finished.*1 delivery is sent again/).waitFor();
  // What is shown of the deliveries and of the health follows without a click.
  await rows("Deliveries").getByText("delivered").waitFor();
  await page.getByText("enabled", { exact: true }).waitFor();

  expect(page.url()).toContain("/recoveries/whr_");
  await page.reload();
  await progress.getByText(/finished.*1 delivery is sent again/).waitFor();

  const requests = await mailbox.requests();
  expect(requests.length).toBe(3);
  const [first, , last] = requests;
  expect(last?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
  // The secret that the page showed is the one that signs.
  expect(new Webhook(secret).verify(last?.body ?? "", last?.headers ?? {})).toMatchObject({
    type: "connection.created",
  });
});

test("what a receiver answers is shown as text, whatever it contains", async () => {
  const { id } = await newEndpoint();
  await mailbox.answer({ kind: "status", status: 500, body: HOSTILE });
  await tab.page.setViewportSize({ width: 360, height: 800 });
  await goTo(tab, `#/webhooks/${id}`);
  await button("Send a test").click();
  const answer = tab.page.locator(".answer");
  const text = await answer.innerText();
  expect(text).toContain('<img src=x onerror="window.hit = 1"><script>window.hit = 2</script>');
  expect(text).toContain("<b>bold</b> ‹U+202E›gnp.exe‹U+202C›‹U+0007›");
  expect(text.length).toBeLessThan(1_200);
  expect(await answer.locator("*").count()).toBe(0);
  expect(await tab.page.evaluate("window.hit")).toBeUndefined();
  expect(await tab.page.locator(".attempt").innerText()).toContain("The receiver has failed.");
});

test("what was owed to an endpoint when it was disabled says that it was not sent, and why", async () => {
  const { id } = await newEndpoint();
  await mailbox.answer({ kind: "status", status: 503, held: true });
  await registerConnection("plant-a");
  await mailbox.waitForRequests(1);
  await organisation.api.call("PATCH", `/v1/webhooks/endpoints/${id}`, { enabled: false });
  await mailbox.release();
  const delivery = await deliveries("discarded");
  await goTo(tab, `#/webhooks/deliveries/${delivery.id}`);
  await main().getByText("There was nowhere to send it").waitFor();
  const last = tab.page.locator(".attempt").first();
  expect(await last.innerText()).toMatch(/Attempt 2 no answer No answer came\.[\s\S]*disabled/);
  expect((await mailbox.requests()).length).toBe(1);
  await button("Send again").click();
  await main().getByRole("alert").getByText("The webhook endpoint is disabled.").waitFor();
});

test("a delivery that is sent again shows the new attempt without a click", async () => {
  await newEndpoint();
  await registerConnection("plant-a");
  const { id } = await deliveries("delivered");
  await goTo(tab, `#/webhooks/deliveries/${id}`);
  await mailbox.answer({ kind: "status", status: 200, body: "once more" });
  await button("Send again").click();
  await tab.page.getByText("It is being sent.").waitFor();
  await tab.page.locator(".attempt").getByText("once more").waitFor();
  expect((await mailbox.requests()).length).toBe(2);
});

describe("an endpoint", () => {
  test("that Drawbridge has disabled says why, and is enabled again", async () => {
    const { id } = await newEndpoint();
    await mailbox.answer({ kind: "status", status: 410 });
    await registerConnection("plant-a");
    await deliveries("failed");
    await rows("Webhook endpoints").getByText("disabled by Drawbridge").waitFor();
    await goTo(tab, `#/webhooks/${id}`);
    await main().getByText("Its receiver answered 410: it wants nothing more.").waitFor();
    await main().getByText("The endpoint is disabled. Enable it first.").waitFor();
    await button("Enable").click();
    await tab.page.getByText("enabled", { exact: true }).waitFor();
    await button("Send again what did not arrive").waitFor();
    expect(await readEndpoint(id)).toMatchObject({ enabled: true, disabled_reason: null });
  });

  test("is disabled after a question that says what that means", async () => {
    const { id } = await newEndpoint();
    await goTo(tab, `#/webhooks/${id}`);
    await button("Disable").click();
    await dialog().getByText(mailbox.url).waitFor();
    await dialog().getByText("Events that happen meanwhile make no delivery").waitFor();
    await dialog().getByRole("button", { name: "Cancel" }).click();
    expect(await readEndpoint(id)).toMatchObject({ enabled: true });
    await button("Disable").click();
    await dialog().getByRole("button", { name: "Disable" }).click();
    await tab.page.getByText("disabled", { exact: true }).waitFor();
    expect(await readEndpoint(id)).toMatchObject({ enabled: false, disabled_reason: null });
  });

  test("is changed in what the person changed, and in nothing else", async () => {
    const { id } = await newEndpoint({ description: "Billing" });
    await goTo(tab, `#/webhooks/${id}`);
    await button("Edit").click();
    await tab.page.getByLabel("Only some").check();
    await button("Save").click();
    await main().getByText("Tick an event, or choose all.").waitFor();
    await main().locator("summary", { hasText: "Devices" }).click();
    await tab.page.getByLabel("device.pair.approved").check();
    await tab.page.getByLabel("device.pair.*").check();
    // Somebody else changes something else meanwhile.
    const other = { description: "Invoices" };
    await organisation.api.call("PATCH", `/v1/webhooks/endpoints/${id}`, other);
    await button("Save").click();
    await button("Edit").waitFor();
    expect(await readEndpoint(id)).toMatchObject({
      url: mailbox.url,
      description: "Invoices",
      event_types: ["device.pair.*"],
    });
  });

  test("with an address that is not allowed is refused beside the form, once and in words", async () => {
    await button("New endpoint").click();
    await tab.page.getByLabel("Address").fill("https://10.0.0.1/hooks");
    await button("Make the endpoint").click();
    const words = await tab.page.getByRole("alert").innerText();
    expect(words.match(/10\.0\.0\.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(words).toMatch(/^url is refused: /);
    expect(await tab.page.getByLabel("Address").inputValue()).toBe("https://10.0.0.1/hooks");
  });

  test("gets a new secret, and the old one ends when the person says so", async () => {
    const { id, secret } = await newEndpoint();
    await goTo(tab, `#/webhooks/${id}`);
    const open = () => main().getByText("The secret of this endpoint").click();
    await open();
    await button("Show the secret").click();
    const shown = main().locator(".more code");
    expect(await shown.innerText()).toBe(secret);
    await tab.page.getByLabel("The old one signs as well").selectOption("not at all");
    await button("Replace the secret").click();
    await dialog().getByText("All older secrets end at once").waitFor();
    await dialog().getByRole("button", { name: "Replace the secret" }).click();
    await main().getByText("The new secret:").waitFor();
    const replaced = await shown.innerText();
    expect(replaced).toMatch(/^whsec_/);
    expect(replaced).not.toBe(secret);
    await button("Send a test").click();
    await tab.page.locator(".attempt").getByText("It arrived.").waitFor();
    const [request] = await mailbox.requests();
    const verify = (by: string) =>
      new Webhook(by).verify(request?.body ?? "", request?.headers ?? {});
    expect(verify(replaced)).toMatchObject({ type: "webhook-endpoint.test" });
    expect(() => verify(secret)).toThrow();
  });

  test("is deleted after a question that names it", async () => {
    const { id } = await newEndpoint();
    await goTo(tab, `#/webhooks/${id}`);
    await button("Delete").click();
    await dialog().getByText(mailbox.url).waitFor();
    await dialog().getByRole("button", { name: "Delete" }).click();
    await main().getByText("There is no endpoint yet").waitFor();
    expect(await readEndpoint(id)).toMatchObject({ code: "webhook-endpoint-not-found" });
    // The page may have asked for it once more before it was left.
    const others = tab.errors.splice(0).filter((error) => !/status of 404/.test(error));
    tab.errors.push(...others);
  });
});

describe("the list of deliveries", () => {
  test("keeps its filters in the address", async () => {
    const { id } = await newEndpoint();
    await registerConnection("plant-a");
    await deliveries("delivered");
    await goTo(tab, "#/webhooks/deliveries");
    await rows("Deliveries").getByText("connection.created").waitFor();
    await tab.page.getByLabel("Event").selectOption("key.*");
    await main().getByText("No delivery matches.").waitFor();
    await tab.page.reload();
    await main().getByText("No delivery matches.").waitFor();
    expect(await tab.page.getByLabel("Event").inputValue()).toBe("key.*");
    await tab.page.getByLabel("Event").selectOption("connection.*");
    await tab.page.getByRole("combobox", { name: /^Endpoint/ }).selectOption(id);
    await rows("Deliveries").getByText("connection.created").waitFor();
    await tab.page.goBack();
    await tab.page.goBack();
    await main().getByText("No delivery matches.").waitFor();
  });

  test("goes on where nothing matched among those that were looked at", async () => {
    const journal = await journalOf(browser.server, organisation.id);
    const event = { organisationId: organisation.id, data: {} };
    await recordDelivered(journal, { ...event, type: "key.created" }, 1);
    await recordDelivered(journal, { ...event, type: "connection.created" }, 2_500);
    await goTo(tab, "#/webhooks/deliveries/filter/event_type%3Dkey.*");
    await main().getByText("Nothing matched among the deliveries that were looked at.").waitFor();
    await button("Older").click();
    await rows("Deliveries").getByText("key.created").waitFor();
    expect(await button("Older").isDisabled()).toBe(true);
  });

  test("of one event is a click away from the event", async () => {
    await newEndpoint();
    await registerConnection("plant-a");
    await registerConnection("plant-b");
    const newest = await deliveries("delivered", "delivered");
    await goTo(tab, `#/events/${newest.event_id}`);
    await tab.page.getByRole("link", { name: "Its webhook deliveries" }).click();
    await rows("Deliveries").first().waitFor();
    expect(await rows("Deliveries").count()).toBe(1);
    await rows("Deliveries").getByRole("link").click();
    await expectLoaded(tab);
    expect(await tab.page.locator(".payload").innerText()).toContain(newest.event_id);
  });
});

test("a person who may only read sees everything but secrets, and which permission is missing", async () => {
  const { id } = await newEndpoint();
  await registerConnection("plant-a");
  const delivery = await deliveries("delivered");
  await tab.page.context().close();
  const key = await newSignInKey(organisation, ["webhooks:read"]);
  tab = await openConsole(browser, { key: key.token, hash: "#/webhooks" });
  await rows("Webhook endpoints").getByText(mailbox.url).waitFor();
  expect(await button("New endpoint").isDisabled()).toBe(true);
  await main().getByText("needs webhooks:write").first().waitFor();
  await goTo(tab, `#/webhooks/${id}`);
  await main().getByText("The secret of this endpoint").click();
  for (const name of [
    "Edit",
    "Disable",
    "Delete",
    "Send a test",
    "Send again what did not arrive",
    "Show the secret",
    "Replace the secret",
  ]) {
    expect(await button(name).isDisabled(), name).toBe(true);
  }
  await goTo(tab, `#/webhooks/deliveries/${delivery.id}`);
  await tab.page.locator(".attempt").getByText("It arrived.").waitFor();
  expect(await button("Send again").isDisabled()).toBe(true);
  await main().getByText("events:read").waitFor();
});
