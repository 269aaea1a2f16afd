/** The page Source sessions. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startBrowser, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  newOrganisation,
  newSignInKey,
  openConsole,
  type TestOrganisation,
} from "../support/console";

let browser: TestBrowser;

beforeAll(async () => {
  browser = await startBrowser();
});

afterAll(() => browser?.close());

/** A new organisation with a user of source sessions. */
async function brokerage() {
  const organisation = await newOrganisation(browser, "Brokerage");
  const { body } = await organisation.api.call("POST", "/users", { identifier: "customer-17" });
  return { organisation, user: body.id as number };
}

/** Makes a session for this account, with the right password unless another is given. */
async function newSession(
  { organisation, user }: { organisation: TestOrganisation; user: number },
  identifier: string,
  password = "abcd1234",
) {
  const made = await organisation.api.call("POST", "/sessions", {
    source: { user, type: "mocks.mock", identifier },
    payload: { password },
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.id as string;
}

test("sessions are listed with what went wrong in words, narrowed by state, and expired in the browser", async () => {
  const { organisation, user } = await brokerage();
  const tab = await openConsole(browser, { key: organisation.key, hash: "#/source-sessions" });
  const { page } = tab;
  await page.getByText("There is no source session yet.").waitFor();
  await expectNoProblems(browser, tab);

  const wrong = await newSession({ organisation, user }, "carl@example.com", "wrong");
  const good = await newSession({ organisation, user }, `<i>anna</i>\u200b@example.com`);
  const row = (id: string) => page.getByRole("row").filter({ hasText: id });
  await row(wrong).getByText("the credentials were wrong").waitFor();
  // Another's text is text.
  await row(good).getByText("<i>anna</i>‹U+200B›@example.com").waitFor();
  await page.getByLabel("State").selectOption("active");
  await row(wrong).waitFor({ state: "detached" });
  await row(good).waitFor();
  await page.getByLabel("State").selectOption("expired");
  await page.getByText("No source session is in this state.").waitFor();
  await page.getByLabel("State").selectOption("all");

  await row(good).getByRole("link").click();
  await page.getByText("customer-17").waitFor();
  await expectNoProblems(browser, tab);
  await page.getByRole("button", { name: "Expire" }).click();
  const dialog = page.getByRole("dialog");
  expect(await dialog.innerText()).toContain("<i>anna</i>‹U+200B›@example.com");
  await dialog.getByRole("button", { name: "Expire" }).click();
  await page.getByText("an API key or an operator ended it").waitFor();
  expect(await page.getByRole("button", { name: "Expire" }).count()).toBe(0);
  const { body } = await organisation.api.call("GET", `/sessions/${good}`);
  expect(body).toMatchObject({ state: "expired", error: "organisation" });
});

test("a page that is empty because of the filter leads on to the older ones", async () => {
  const { organisation, user } = await brokerage();
  const id = await newSession({ organisation, user }, "anna@example.com");
  const tab = await openConsole(browser, { key: organisation.key, hash: "#/source-sessions" });
  const { page } = tab;
  const newer = await newSession({ organisation, user }, "ben@example.com");
  // It takes thousands of sessions until the service answers so.
  await page.route(/\/sessions\?/, (route) => {
    const { searchParams } = new URL(route.request().url());
    if (!searchParams.has("state") || searchParams.has("after_id")) return route.continue();
    const next = { has_more: true, next_after_id: newer };
    const json = { resource: "list", data: [], total_count: null, url: "/sessions", ...next };
    return route.fulfill({ json });
  });
  await page.getByLabel("State").selectOption("active");
  await page.getByText("Nothing on this page. Older ones may match.").waitFor();
  await page.getByRole("button", { name: "Older" }).click();
  await page.getByText("Page 2").waitFor();
  await page.getByText(id).waitFor();
  expect(await page.getByText(newer).count()).toBe(0);
  await page.getByRole("button", { name: "Newer" }).click();
  await page.getByText("Nothing on this page. Older ones may match.").waitFor();
});

test("who may only read is told what is missing, and a session that is not there is said to be so", async () => {
  const { organisation, user } = await brokerage();
  const id = await newSession({ organisation, user }, "anna@example.com");
  const { token } = await newSignInKey(organisation, ["sessions:read"]);
  const tab = await openConsole(browser, { key: token, hash: `#/source-sessions/${id}` });
  const { page } = tab;
  const expire = page.getByRole("button", { name: "Expire" });
  await expire.waitFor();
  expect(await expire.isDisabled()).toBe(true);
  await page.getByText("needs sessions:write").waitFor();
  await expectNoProblems(browser, tab);
  await page.goto("/console#/source-sessions/ses_AAAAAAAAAAAAAAAAAAAAAA");
  await page.getByText("There is no source session with this id.").waitFor();
});
