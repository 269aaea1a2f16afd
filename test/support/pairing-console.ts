/** For tests of pairing in the console: an organisation with an application and its devices, anew for each test. */
import type { Locator, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { type AskingDevice, AskingDevices, newApplication } from "./asking-devices";
import { startBrowser, type Tab, type TestBrowser } from "./browser";
import { newOrganisation, openConsole, type Seat, type TestOrganisation } from "./console";

/** What a test has. */
export class PairingConsole {
  browser!: TestBrowser;
  at!: TestOrganisation;
  /** The id of its one application. */
  application!: string;
  devices!: AskingDevices;
  readonly tabs: Tab[] = [];

  /** A new tab, signed in with the organisation's first key unless another is given. */
  async open(seat: Partial<Seat> = {}, browser = this.browser): Promise<Tab> {
    const tab = await openConsole(browser, { key: this.at.key, hash: "#/pairing", ...seat });
    this.tabs.push(tab);
    return tab;
  }

  /** The requests that wait, newest first. */
  async pendingRequests() {
    return (await this.at.api.call("GET", "/v1/pairing/requests?status=pending")).body.data;
  }

  /** Decides the newest request that waits, as another operator would. */
  async decideElsewhere(verb: "approve" | "reject", body: object = {}): Promise<void> {
    const [{ pair_request_id: id }] = await this.pendingRequests();
    const path = `/v1/applications/${this.application}/pairing/requests/${id}:${verb}`;
    expect((await this.at.api.call("POST", path, body)).status).toBe(200);
  }

  /** What the service answers to a call of the page. Only Chromium knows the page's host. */
  async answerOf(route: Route) {
    const { origin, server } = this.browser;
    const url = route.request().url().replace(origin, server.origin);
    return (await route.fetch({ url })).json();
  }
}

/** Starts what the tests of a file need, and ends it. */
export function pairingConsole(): PairingConsole {
  const own = new PairingConsole();
  beforeAll(async () => {
    own.browser = await startBrowser();
  });
  beforeEach(async () => {
    own.at = await newOrganisation(own.browser);
    own.application = await newApplication(own.at);
    own.devices = new AskingDevices(own.browser);
  });
  afterEach(async () => {
    own.devices.giveUp();
    for (const { page } of own.tabs.splice(0)) {
      // A call of the page may be on its way.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await page.context().close();
    }
  });
  afterAll(() => own.browser?.close());
  return own;
}

/** The card of a device's request. */
export function cardOf(page: Page, { fingerprint }: Pick<AskingDevice, "fingerprint">): Locator {
  return page.locator("article").filter({ hasText: fingerprint });
}

/** The button in a card that approves. */
export function approveButton(card: Locator): Locator {
  return card.getByRole("button", { name: /^Approve/ });
}

/** The line that says what was done. */
export function said(page: Page, words: string): Locator {
  return page.getByRole("status").filter({ hasText: words });
}
