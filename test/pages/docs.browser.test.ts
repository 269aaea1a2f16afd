/** `/docs` in a real browser: the API reference, without any other server. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/** The description that the pages are built from. */
const description = JSON.parse(readFileSync("openapi.json", "utf8"));
const paths: [string, object][] = Object.entries(description.paths);
const groups: string[] = Object.values(description.paths as Record<string, object>)
  .flatMap((item) => Object.values(item))
  .map(({ tags }) => tags[0]);
const operations = paths.flatMap(([path, item]) =>
  Object.keys(item)
    .filter((name) => METHODS.includes(name))
    .map((method) => `${method.toUpperCase()} ${path}`),
);

let browser: TestBrowser;
let tab: Tab;

beforeAll(async () => {
  browser = await startBrowser();
});

beforeEach(async () => {
  tab = await browser.open();
});

/** What holds whatever a test did in its tab. */
afterEach(async () => {
  expect(tab.errors).toEqual([]);
  expect(tab.requests).toContain(`${browser.origin}/openapi.json`);
  expect(tab.requests.filter((url) => new URL(url).origin !== browser.origin)).toEqual([]);
  await tab.page.context().close();
});

afterAll(() => browser?.close());

function operation(method: string, path: string) {
  return tab.page
    .locator(`.opblock-${method}`)
    .filter({ has: tab.page.locator(`[data-path="${path}"]`) });
}

/** Opens the group with this name, or closes it again. Groups are closed at first. */
const openGroup = (name: string) => tab.page.locator(`.opblock-tag[data-tag="${name}"]`).click();

/** Opens an operation, and sends it as the page proposes. Gives the status and the body that it shows. */
async function tryOut(method: string, path: string) {
  await openGroup(description.paths[path][method].tags[0]);
  const box = operation(method, path);
  await box.locator(".opblock-summary-control").click();
  await box.getByRole("button", { name: "Try it out" }).click();
  await box.getByRole("button", { name: "Execute" }).click();
  const answer = box.locator(".live-responses-table");
  return {
    status: await answer.locator("tbody .response-col_status").first().innerText(),
    body: await answer.locator("tbody .highlight-code pre").first().innerText(),
  };
}

test("it shows the groups in the order of the description, closed", async () => {
  const { page } = tab;
  await page.goto("/docs");
  const headings = page.locator(".opblock-tag");
  await headings.first().waitFor();
  const names = await headings.evaluateAll((all) => all.map((one) => one.dataset.tag));
  const tags: { name: string }[] = description.tags;
  expect(names).toEqual(tags.map(({ name }) => name));
  expect(await page.locator(".opblock-tag-section .opblock").count()).toBe(0);
});

test("it lists every operation of the description, and no other", async () => {
  const { page } = tab;
  await page.goto("/docs");
  // Events, which are no operations of ours to call, stand apart from these sections.
  const summaries = page.locator(".opblock-tag-section .opblock-summary");
  const listed: string[] = [];
  // One group at a time: Swagger UI 5.35 draws a list of 150 or more only where it is seen.
  for (const name of new Set(groups)) {
    await openGroup(name);
    await expect.poll(() => summaries.count()).toBe(groups.filter((each) => each === name).length);
    for (const summary of await summaries.all()) {
      const method = await summary.locator(".opblock-summary-method").innerText();
      const path = await summary.locator(".opblock-summary-path").getAttribute("data-path");
      listed.push(`${method} ${path}`);
    }
    await openGroup(name);
    await expect.poll(() => summaries.count()).toBe(0);
  }
  expect(listed.sort()).toEqual(operations.sort());
});

test("an operation that is tried from it is sent to this deployment, and its answer is shown", async () => {
  await tab.page.goto("/docs");
  const { status, body } = await tryOut("get", "/v1/ip");
  expect(status).toBe("200");
  expect(JSON.parse(body)).toEqual({ public_ip: "127.0.0.1" });
  expect(tab.requests).toContain(`${browser.origin}/v1/ip`);
});

test("Authorize asks for the tokens that a person may have, the API key first, and for no signature", async () => {
  const { page } = tab;
  const schemes: [string, { type: string }][] = Object.entries(
    description.components.securitySchemes,
  );
  const tokens = schemes.filter(([, { type }]) => type === "http").map(([name]) => name);
  expect(tokens[0]).toBe("apiKey");
  expect(tokens.length).toBeLessThan(schemes.length);
  await page.goto("/docs");
  await page.getByRole("button", { name: "Authorize", exact: true }).click();
  expect(await page.locator(".auth-container h4 code").allInnerTexts()).toEqual(tokens);
  await page.locator(".auth-container").first().locator("input:focus").waitFor();
});

test("an API key that is given to Authorize is sent along, and kept in this tab's memory only", async () => {
  const { page } = tab;
  const { api_key } = await browser.server.newOrganisation("Docs");
  await page.goto("/docs");
  await page.getByRole("button", { name: "Authorize", exact: true }).click();
  const form = page.locator(".auth-container").first();
  await form.locator("input").fill(api_key.token);
  await form.getByRole("button", { name: "Apply credentials" }).click();
  await form.getByRole("button", { name: "Close" }).click();

  const { status, body } = await tryOut("get", "/v1/relays/sessions");
  expect(status).toBe("200");
  expect(JSON.parse(body)).toMatchObject({ sessions: [] });
  const kept = await page.evaluate<string>(
    "JSON.stringify([localStorage, sessionStorage, document.cookie])",
  );
  expect(kept).not.toContain(api_key.token);
});

test("it leads back to the first page", async () => {
  await tab.page.goto("/docs");
  await tab.page.getByRole("link", { name: "Drawbridge", exact: true }).click();
  expect(new URL(tab.page.url()).pathname).toBe("/");
});

test("an operation shows the codes of its errors, and an example of the answer alone", async () => {
  const { page } = tab;
  await page.goto("/docs");
  await openGroup("Events");
  const box = operation("get", "/v1/events/{id}");
  await box.locator(".opblock-summary-control").click();
  const refused = box.locator('.response[data-code="404"]');
  await refused.getByText("event-not-found").waitFor();
  expect(await refused.locator(".model-example").isVisible()).toBe(false);
  const answer = box.locator('.response[data-code="200"] .model-example');
  expect(JSON.parse(await answer.locator("pre").innerText())).toEqual(
    description.components.schemas.Event.examples[0],
  );
});

/** Scrolls from the top to the end, a part of a screen at a time, and calls `look` at each place until it is true. */
async function scrollThrough(look: () => Promise<boolean>): Promise<void> {
  const { page } = tab;
  const atEnd = "scrollY + innerHeight >= document.documentElement.scrollHeight - 1";
  const drawn = "new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))";
  await page.evaluate("scrollTo(0, 0)");
  await page.evaluate(drawn);
  while (!(await look()) && !(await page.evaluate(atEnd))) {
    await page.evaluate("scrollBy({ top: 600, behavior: 'instant' })");
    await page.evaluate(drawn);
  }
}

test.each([1280, 360])("it fits a screen of %i pixels, whatever is open", async (width) => {
  const { page } = tab;
  await page.setViewportSize({ width, height: 740 });
  await page.goto("/docs");
  await tryOut("get", "/v1/ip");
  const opened = ["/v1/relays/sessions", "/v1/applications/{application}/pairing/requests"];
  const openGroups = new Set<string>([description.paths["/v1/ip"].get.tags[0]]);
  for (const path of opened) {
    const [group] = description.paths[path].post.tags;
    openGroups.add(group);
    await openGroup(group);
    await operation("post", path).locator(".opblock-summary-control").click();
  }
  const fits = async () => {
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
    return false;
  };
  await scrollThrough(fits);
  for (const name of new Set(groups)) {
    if (openGroups.has(name)) continue;
    const heading = page.locator(`.opblock-tag[data-tag="${name}"]`);
    await scrollThrough(async () => (await heading.count()) > 0);
    await openGroup(name);
  }
  await scrollThrough(fits);
});

test("it is light or dark, as the system is", async () => {
  const { page } = tab;
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/docs");
  await page.locator(".info .title").waitFor();
  const colour = () =>
    page.evaluate("getComputedStyle(document.querySelector('.info .title')).color");
  const inTheDark = await colour();
  await page.emulateMedia({ colorScheme: "light" });
  await expect.poll(colour).not.toBe(inTheDark);
});

test("a webhook shows the body of its own event", async () => {
  const { page } = tab;
  await page.goto("/docs");
  const box = page.locator(".webhooks .opblock").filter({
    has: page.locator('[data-path="device.pair.approved"]'),
  });
  await box.locator(".opblock-summary-control").click();
  const shown = JSON.parse(await box.locator(".body-param__example").innerText());
  expect(shown).toMatchObject({ type: "device.pair.approved", data: { status: "approved" } });
});
