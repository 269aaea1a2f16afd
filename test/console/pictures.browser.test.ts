/**
 * The pictures of the console in `docs/`. `SCREENSHOTS=docs npm run test:browser -- test/console/pictures`
 * writes them anew; without the variable the test only sees that each shows what it should.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connectRelay } from "drawbridge-client/relay";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AskingDevices, newApplication } from "../support/asking-devices";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import {
  expectNoProblems,
  goTo,
  newOrganisation,
  openConsole,
  type TestOrganisation,
} from "../support/console";
import { eventually } from "../support/eventually";

const FOLDER = process.env.SCREENSHOTS;
/** For how long bytes flow before a plot is worth a picture. */
const FLOW_MS = 45_000;

let browser: TestBrowser;
let organisation: TestOrganisation;
let devices: AskingDevices;
let tab: Tab;
/** Answers 500 at first, as a receiver does whose database is away. */
let answers: number[] = [500, 500, 204];
const receiver = createServer((request, response) => {
  const status = answers.length > 1 ? answers.shift() : answers[0];
  const text = status === 204 ? undefined : "database is away";
  request.resume().on("end", () => response.writeHead(status ?? 204).end(text));
});

beforeAll(async () => {
  browser = await startBrowser({
    settings: { ALLOW_INSECURE_WEBHOOKS: "1", WEBHOOK_RETRY_SECONDS: "1,1,1" },
  });
  organisation = await newOrganisation(browser, "North Yard");
  devices = new AskingDevices(browser);
  await new Promise<void>((listening) => receiver.listen(0, "127.0.0.1", listening));
  tab = await openConsole(browser, {
    key: organisation.key,
    viewport: { width: 1_120, height: 760 },
    colorScheme: "light",
  });
});

afterAll(async () => {
  devices?.giveUp();
  await browser?.close();
  receiver.close();
});

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
async function make(path: string, body: object): Promise<any> {
  const made = await organisation.api.call("POST", path, body);
  expect(made.status, JSON.stringify(made.body)).toBeLessThan(300);
  return made.body;
}

/** Takes the picture, so many pixels high. */
async function picture(page: Page, name: string, height: number) {
  await page.setViewportSize({ width: 1_120, height });
  await expectNoProblems(browser, tab);
  if (FOLDER) await page.screenshot({ path: `${FOLDER}/console-${name}.png` });
}

test("pairing: two devices wait for a decision", async () => {
  const application = await newApplication(organisation, "Plant gateway");
  await devices.ask(application, {
    client: { id: "camera", mode: "node", displayName: "Camera 12, east gate", platform: "linux" },
    role: "node",
    scopes: [],
  });
  const { fingerprint } = await devices.ask(application, {
    client: { id: "cli", mode: "cli", displayName: "Anna's laptop", platform: "macos" },
  });
  await goTo(tab, "#/pairing");
  const main = tab.page.locator("main");
  await main.getByText("Anna's laptop").first().waitFor();
  await main.getByText(fingerprint).first().waitFor();
  await main.getByText("Camera 12, east gate").first().waitFor();
  await picture(tab.page, "pairing", 760);
});

test("a relay session: bytes flow, and are plotted", async () => {
  const session = await make("/v1/relays/sessions", {
    users: [{ ip: "198.51.100.7" }, { ip: "203.0.113.20" }, { ip: "203.0.113.21" }],
    join_code: true,
  });
  const { server, client } = session.relay.ports;
  const connections = await Promise.all(
    [server, client, client].map(({ link }, n) =>
      connectRelay({
        link,
        sessionToken: session.authorization_token,
        userToken: session.session_users[n].authorization_token,
      }),
    ),
  );
  const [host, ...players] = connections;
  let sent = 0;
  const flow = setInterval(() => {
    sent += 1;
    for (const player of players) player.send(new Uint8Array(600 + 400 * Math.sin(sent / 40)));
    host?.broadcast(new Uint8Array(900 + 500 * Math.cos(sent / 60)));
  }, 50);
  try {
    await goTo(tab, `#/sessions/${session.session_id}`);
    await tab.page.locator("main .uplot").waitFor();
    if (FOLDER) await new Promise((flown) => setTimeout(flown, FLOW_MS));
    await eventually(async () => {
      const path = `/v1/relays/sessions/${session.session_id}?touch=false`;
      const { body } = await organisation.api.call("GET", path);
      expect(body.session_users[1].bytes_in).toBeGreaterThan(0);
    });
    await tab.page.locator("main").getByText("203.0.113.20").first().waitFor();
    await picture(tab.page, "session", 920);
  } finally {
    clearInterval(flow);
    for (const connection of connections) connection.close();
  }
});

test("a delivery: two attempts that failed, and one that arrived", async () => {
  const { port } = receiver.address() as AddressInfo;
  await make("/v1/webhooks/endpoints", {
    url: `http://127.0.0.1:${port}/drawbridge`,
    description: "Control room",
    event_types: ["session.active"],
  });
  answers = [500, 500, 204];
  await organisation.api.create(2);
  const delivery = await eventually(async () => {
    const { body } = await organisation.api.call(
      "GET",
      "/v1/webhooks/deliveries?event_type=session.active",
    );
    expect(body.data[0]).toMatchObject({ status: "delivered" });
    expect(body.data[0].attempts).toHaveLength(3);
    return body.data[0];
  });
  await goTo(tab, `#/webhooks/deliveries/${delivery.id}`);
  await tab.page.locator("main").getByText("database is away").first().waitFor();
  await picture(tab.page, "delivery", 960);
});
