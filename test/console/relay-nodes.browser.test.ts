/** The page Relay nodes, with the node program on loopback. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RelayNode } from "../../relay-node/relay-node";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import { expectNoProblems, newOrganisation, newSignInKey, openConsole } from "../support/console";
import { startLinkedNode } from "../support/native-game";

let browser: TestBrowser;
const nodes: RelayNode[] = [];

beforeAll(async () => {
  browser = await startBrowser();
});

afterAll(() => browser?.close());

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

/** The token that is shown once. */
async function shownToken({ page }: Tab): Promise<string> {
  await page.getByRole("button", { name: "Show token of the node" }).click();
  return page.getByText(/^drbn_/).innerText();
}

async function confirm({ page }: Tab, name: string): Promise<string> {
  await page.getByRole("button", { name, exact: true }).click();
  const dialog = page.getByRole("dialog");
  const asked = await dialog.innerText();
  await dialog.getByRole("button", { name, exact: true }).click();
  return asked;
}

test("a node is made, started with the token that is shown once, drained, taken back and deleted", async () => {
  const { key, api } = await newOrganisation(browser);
  const tab = await openConsole(browser, { key, hash: "#/relay-nodes" });
  const { page } = tab;
  await page.getByText("Your organisation has no relay node.").waitFor();
  await page.getByRole("button", { name: "Make a node" }).click();
  await page.getByLabel("Name").fill("Frankfurt <1>");
  await page.getByLabel("Region").selectOption("weur");
  await page.getByLabel("Capacity (optional)").fill("20");
  await page.getByRole("button", { name: "Make the node" }).click();
  await page.getByText(`node relay-node.mjs --url ${browser.origin}`).waitFor();
  expect(await page.content()).not.toContain("drbn_");
  const row = page.getByRole("row").filter({ hasText: "Frankfurt <1>" });
  await row.getByText("never-connected").waitFor();
  await expectNoProblems(browser, tab);

  nodes.push(await startLinkedNode(browser.server.origin, await shownToken(tab)));
  await row.getByText("online").waitFor();
  await row.getByRole("link").click();
  await page.getByRole("dialog").getByRole("button", { name: "Stay" }).click();
  await page.getByRole("button", { name: "I have copied it" }).click();
  await row.getByRole("link").click();
  await page.getByText("It is linked, and takes sessions.").waitFor();
  const { body: session } = await api.create(1, { transport: "udp" });
  expect(session.status).toBe("READY");
  await page.getByText("1 of 20").waitFor();
  await expectNoProblems(browser, tab);

  expect(await confirm(tab, "Drain")).toContain("takes no new sessions");
  await page.getByText("It goes on with its sessions, and takes no new ones.").waitFor();
  expect((await api.create(1, { transport: "udp" })).status).toBe(503);
  await page.getByRole("button", { name: "Take new sessions again" }).click();
  await page.getByText("It is linked, and takes sessions.").waitFor();

  const asked = await confirm(tab, "Delete");
  expect(asked).toContain("1 session that it carries fails at once");
  expect(asked).toContain("Frankfurt <1>");
  await page.getByText("There is no relay node with this id.").waitFor();
  expect((await api.read(session.session_id)).status).toBe(404);
});

test("a new token is shown once, and links the node", async () => {
  const { key, api } = await newOrganisation(browser);
  const { id } = await api.newNode();
  const tab = await openConsole(browser, { key, hash: `#/relay-nodes/${id}` });
  const { page } = tab;
  await page
    .getByLabel("The token that it has works on for")
    .selectOption("not at all: it was stolen");
  await page.getByRole("button", { name: "Make a new token" }).click();
  nodes.push(await startLinkedNode(browser.server.origin, await shownToken(tab)));
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.getByText("It is linked, and takes sessions.").waitFor();
});

test("who may only read sees the nodes, and may make and change none", async () => {
  const organisation = await newOrganisation(browser);
  const { id } = await organisation.api.newNode({ name: "Turin" });
  const { token } = await newSignInKey(organisation, ["relay-nodes:read"]);
  const tab = await openConsole(browser, { key: token, hash: "#/relay-nodes" });
  const { page } = tab;
  await page.getByRole("link", { name: "Turin" }).waitFor();
  expect(await page.getByRole("button", { name: "Make a node" }).isDisabled()).toBe(true);
  await expectNoProblems(browser, tab);
  await page.goto(`/console#/relay-nodes/${id}`);
  for (const name of ["Drain", "Delete", "Make a new token"]) {
    const button = page.getByRole("button", { name, exact: true });
    await button.waitFor();
    expect(await button.isDisabled(), name).toBe(true);
  }
  await expectNoProblems(browser, tab);
});
