/** The relay part of the client in Chromium, on a page of another origin and without a build step. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import { type OtherOrigin, startOtherOrigin } from "../support/other-origin";
import { api, createSession, credentialsOf } from "./relay-session";

let browser: TestBrowser;
let otherOrigin: OtherOrigin;
let key: string;
let publishableKey: string;

beforeAll(async () => {
  browser = await startBrowser();
  const { id, api_key } = await browser.server.newOrganisation("Game");
  key = api_key.token;
  const made = await api(browser.server.origin, key, "POST", "/api-keys", {
    name: "In the page",
    emails: [],
    organizationsIds: [id],
    permissions: ["relays:host"],
  });
  publishableKey = made.token.value;
  otherOrigin = await startOtherOrigin(browser.origin);
});

afterAll(async () => {
  otherOrigin?.close();
  await browser?.close();
});

let tabs: Tab[] = [];

beforeEach(() => {
  tabs = [];
});

/** A tab with a page of another origin. It keeps its connection as `relay` and its events as `events`. */
async function openPage(): Promise<Tab> {
  const tab = await browser.open();
  tabs.push(tab);
  await tab.page.goto(otherOrigin.url);
  return tab;
}

/** Connects in the page by a call of the client, such as `joinRelay`. */
function connectIn(tab: Tab, call: string, options: object): Promise<void> {
  return tab.page.evaluate(
    `(async () => {
      const client = await import(${JSON.stringify(`${browser.origin}/client/relay.js`)});
      globalThis.events = [];
      globalThis.relay = await client.${call}(${JSON.stringify(options)});
      for (const type of ["message", "peerjoined", "reconnecting", "reconnected", "closed"]) {
        relay.addEventListener(type, (event) => events.push({ type, ...event }));
      }
    })()`,
  );
}

/** The first event of this type in the page, as soon as it is there. */
async function eventIn(tab: Tab, type: string): Promise<Record<string, unknown>> {
  const find = `events.find((event) => event.type === ${JSON.stringify(type)})`;
  await tab.page.waitForFunction(find);
  return tab.page.evaluate(`(({ isTrusted, ...event }) => event)(${find})`);
}

/** That the page's console is clean, and that no address it asked for holds one of these. */
function expectNoneInAddresses(secrets: readonly (string | number)[]): void {
  const requests = tabs.flatMap(({ requests }) => requests);
  expect(requests.filter((url) => url.startsWith("ws://")).length).toBeGreaterThan(0);
  for (const url of requests) {
    for (const secret of secrets) expect(url).not.toContain(String(secret));
    expect(new URL(url).search).toBe("");
  }
}

test("Two pages play, one host without a backend, through a deploy of the Worker", async () => {
  const [host, guest] = [await openPage(), await openPage()];
  const url = browser.origin;
  await connectIn(host, "hostRelay", { url, key: publishableKey, maxUsers: 2, codec: "json" });
  const code = await host.page.evaluate<string>("relay.joinCode");
  await connectIn(guest, "joinRelay", { url, code, codec: "json" });
  await host.page.evaluate("relay.broadcast({ x: 1 })");
  expect(await eventIn(guest, "message")).toEqual({ type: "message", data: { x: 1 }, from: null });
  await guest.page.evaluate("relay.send({ y: 2 })");
  expect(await eventIn(host, "message")).toMatchObject({ data: { y: 2 }, from: 1 });
  await guest.page.waitForFunction("relay.roundTripMs !== null");

  await browser.server.restart();
  expect(await eventIn(guest, "reconnecting")).toMatchObject({ code: 1006 });
  expect(await eventIn(guest, "reconnected")).toMatchObject({ dropped: 0, missed: 0 });
  await eventIn(host, "reconnected");
  await host.page.evaluate('events.length = 0; relay.send("still here", 1)');
  await guest.page.waitForFunction('events.at(-1).data === "still here"');

  const { sessionToken, userToken } =
    await guest.page.evaluate<Record<string, number>>("relay.credentials");
  const secrets = [publishableKey, code, code.replace("-", ""), sessionToken ?? 0, userToken ?? 0];
  expectNoneInAddresses(secrets);
});

test("A page is told why it is refused, and does not come back where it cannot", async () => {
  const tab = await openPage();
  const session = await createSession(browser.origin.replace("drawbridge.test", "127.0.0.1"), key);
  const link = (given: string) => given.replace("127.0.0.1", "drawbridge.test");
  const { link: given, ...tokens } = credentialsOf(session, 1);
  const credentials = { link: link(given), ...tokens };
  const refusal = (options: object) =>
    connectIn(tab, "connectRelay", options).then(
      () => "none",
      (error: Error) => error.message,
    );
  expect(await refusal({ ...credentials, userToken: 1 })).toContain("(4401)");
  const unknown = credentials.link.replace(/sessions\/[0-9a-f]{12}/, "sessions/000000000000");
  expect(await refusal({ ...credentials, link: unknown })).toContain("(4404)");
  await connectIn(tab, "connectRelay", credentials);
  await api(browser.server.origin, key, "DELETE", `/v1/relays/sessions/${session.session_id}`);
  expect(await eventIn(tab, "closed")).toMatchObject({ code: 4410 });
  expect(await tab.page.evaluate("relay.state")).toBe("closed");
  expect(await refusal(credentials)).toContain("(4410)");
  expectNoneInAddresses([tokens.sessionToken, tokens.userToken]);
});
