/**
 * How current a list of the console is. The tab's clock stands still and moves only as a test says, so that
 * nothing depends on how fast the machine is; the service answers in real time.
 */
import type { Page, Request } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBrowser, type TestBrowser } from "../support/browser";
import {
  expectLoaded,
  newOrganisation,
  openConsole,
  type TestOrganisation,
} from "../support/console";
import { eventually } from "../support/eventually";

const LIST = "/v1/relays/sessions";

let browser: TestBrowser;
let organisation: TestOrganisation;

beforeAll(async () => {
  browser = await startBrowser();
  organisation = await newOrganisation(browser);
});

afterAll(() => browser?.close());

/** Makes a relay session, and gives its id. */
async function newSession(): Promise<string> {
  const { status, body } = await organisation.api.create(2);
  expect(status).toBe(200);
  return body.session_id;
}

interface Watched {
  page: Page;
  /** How often the list was asked for so far. */
  asked(): number;
  /** Lets the tab's time pass, while the service answers what is asked. */
  pass(seconds: number): Promise<void>;
}

/** A tab with the relay sessions, whose clock stands. */
async function watchSessions(): Promise<Watched> {
  const tab = await openConsole(browser, { key: organisation.key });
  const { page } = tab;
  let asked = 0;
  const open = new Set<Request>();
  page.on("request", (request) => {
    open.add(request);
    if (new URL(request.url()).pathname === LIST) asked += 1;
  });
  page.on("requestfinished", (request) => open.delete(request));
  page.on("requestfailed", (request) => open.delete(request));
  await page.clock.install();
  await page.goto("/console#/sessions");
  await page.reload();
  await expectLoaded(tab);
  await page.clock.pauseAt(Date.now() + 1_000);
  return {
    page,
    asked: () => asked,
    pass: async (seconds) => {
      for (let step = 0; step < seconds * 4; step++) {
        await eventually(() => expect(open.size).toBe(0));
        await page.clock.runFor(250);
      }
      await eventually(() => expect(open.size).toBe(0));
    },
  };
}

/** Hides the tab, or shows it: Chromium without a window cannot. */
function show(page: Page, isShown: boolean): Promise<unknown> {
  return page.evaluate(`(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => ${!isShown} });
    document.dispatchEvent(new Event("visibilitychange"));
  })()`);
}

const freshness = (page: Page) => page.locator("main .freshness").first();

test("what is new is in the list within three seconds, without a click", async () => {
  const { page, pass } = await watchSessions();
  for (let n = 0; n < 2; n++) {
    const id = await newSession();
    await pass(3);
    await page.locator("main").getByText(id).first().waitFor();
  }
  await freshness(page).getByText("Updates by itself").waitFor();
});

test("a list in which nothing changes is asked for every two and a half seconds", async () => {
  const { asked, pass } = await watchSessions();
  await pass(6);
  const before = asked();
  await pass(60);
  const times = asked() - before;
  expect(times).toBeGreaterThanOrEqual(19);
  expect(times).toBeLessThanOrEqual(25);
});

test("nothing is asked for in a hidden tab, and all at once when it is seen again", async () => {
  const { page, asked, pass } = await watchSessions();
  await show(page, false);
  const before = asked();
  const id = await newSession();
  await pass(60);
  expect(asked()).toBe(before);
  await show(page, true);
  await page.locator("main").getByText(id).first().waitFor();
  await pass(3);
  expect(asked()).toBeGreaterThan(before + 1);
});

test("a list is asked for with the bookmark of the one before, so that a copy of D1 may answer it", async () => {
  const { page, pass } = await watchSessions();
  const sent = new Set<string | undefined>();
  page.on("request", (request) => {
    if (new URL(request.url()).pathname === LIST) sent.add(request.headers()["x-d1-bookmark"]);
  });
  await pass(3);
  expect([...sent]).toEqual([expect.stringMatching(/^[0-9a-f]{8}-/)]);
});

describe("while the service", () => {
  test("cannot be reached, the page says so, how old the list is, and shows it on", async () => {
    const known = await newSession();
    const { page, pass } = await watchSessions();
    const cut = (url: URL) => url.pathname.startsWith("/v1/");
    await page.route(cut, (route) => route.abort());
    await pass(30);
    await freshness(page)
      .getByText(/^Last updated (2\d|3\d) s ago\. .*cannot be reached/)
      .waitFor();
    await page.locator("main").getByText(known).first().waitFor();
    const missed = await newSession();
    await page.unroute(cut);
    await pass(11);
    await freshness(page).getByText("Updates by itself").waitFor();
    await page.locator("main").getByText(missed).first().waitFor();
  });

  test("fails, the page says so in its words", async () => {
    const { page, pass } = await watchSessions();
    const failing = (url: URL) => url.pathname === LIST;
    await page.route(failing, (route) =>
      route.fulfill({ status: 503, json: { message: "D1 does not answer.", code: "unavailable" } }),
    );
    await pass(3);
    await freshness(page)
      .getByText(/Last updated .* ago\. D1 does not answer\./)
      .waitFor();
  });

  test("does not answer at all, the page says how old the list is, and gives up waiting", async () => {
    const { page, pass } = await watchSessions();
    await pass(0);
    let held = 0;
    await page.route(
      (url) => url.pathname === LIST,
      () => {
        held += 1;
      },
    );
    // Whatever was asked before is answered: from here on nothing makes the list younger.
    await eventually(async () => {
      await page.clock.runFor(250);
      expect(held).toBeGreaterThan(0);
    });
    await page.clock.runFor(8_000);
    await freshness(page)
      .getByText(/^Last updated \d+ s ago\. /)
      .waitFor();
    await page.clock.runFor(15_000);
    await freshness(page)
      .getByText(/^Last updated \d+ s ago\. .*cannot be reached/)
      .waitFor();
  });
});
