/** Pairing with the client in Chromium: the key stays in the browser, and no script can read it. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";

const built = readFileSync("client/dist/pairing.js", "utf8");

/** Serves pages of another origin. */
let pages: Server;
let browser: TestBrowser;
let key: string;
let application: string;
let tab: Tab;

beforeAll(async () => {
  pages = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" }).end("<title>A device</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  browser = await startBrowser({ otherPort: portOf(pages) });
  key = (await browser.server.newOrganisation("Devices")).api_key.token;
  application = (await call("POST", "/v1/applications", { name: "Gateway" })).id;
});

beforeEach(async () => {
  tab = await browser.open();
  await openPage(tab.page);
});

afterAll(async () => {
  pages?.close();
  await browser?.close();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** Opens a page that has the client beside it: of the service's origin, or of another one. */
async function openPage(page: Page, origin = browser.origin) {
  await page.route("**/pairing.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: built }),
  );
  await page.goto(`${origin}/`);
}

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
async function call(method: string, path: string, body?: object): Promise<any> {
  const response = await fetch(`${browser.server.origin}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}` },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return response.json();
}

type Asked = { deviceId: string; fingerprint: string; pending: boolean };

/** Asks in the page, so often at once. The last promise of a token is kept there as `pairing.token`. */
function pairTogether(page: Page, times: number): Promise<Asked[]> {
  return page.evaluate(
    `(async () => {
      const { pairDevice } = await import("/pairing.js");
      const ask = async () => {
        globalThis.pairing = await pairDevice({
          url: ${JSON.stringify(browser.origin)}, application: ${JSON.stringify(application)}, role: "operator",
          scopes: ["operator.read"], client: { id: "page", mode: "browser" },
        });
        const { deviceId, fingerprint, pending } = pairing;
        return { deviceId, fingerprint, pending };
      };
      return Promise.all(Array.from({ length: ${times} }, ask));
    })()`,
  );
}

async function pair(page: Page): Promise<Asked> {
  const [asked] = await pairTogether(page, 1);
  if (!asked) throw new Error("nothing was asked");
  return asked;
}

const requests = () => `/v1/applications/${application}/pairing/requests`;

async function pendingRequests() {
  return (await call("GET", `${requests()}?status=pending`)).data;
}

test("a page pairs, and after it was closed another one of its origin is the same device", async () => {
  const asked = await pair(tab.page);
  const [request, ...others] = await pendingRequests();
  expect(others).toEqual([]);
  expect(request).toMatchObject({ device_id: asked.deviceId, fingerprint: asked.fingerprint });
  await call("POST", `${requests()}/${request.pair_request_id}:approve`, {});
  const token = await tab.page.evaluate<string>("pairing.token");
  expect(await call("POST", "/v1/devices:verify", { token })).toMatchObject({
    valid: true,
    device_id: asked.deviceId,
  });

  const other = await tab.page.context().newPage();
  await tab.page.close();
  await openPage(other);
  expect(await pair(other)).toEqual({ ...asked, pending: false });
  const fresh = await other.evaluate<string>("pairing.token");
  expect(await call("POST", "/v1/devices:verify", { token: fresh })).toMatchObject({ valid: true });
  expect(tab.errors).toEqual([]);
});

test("the key is kept in IndexedDB, and no script can export it", async () => {
  const { deviceId } = await pair(tab.page);
  const outcome = await tab.page.evaluate(`(async () => {
    const done = (request) => new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const database = await done(indexedDB.open("drawbridge-pairing"));
    const store = database.transaction("keys").objectStore("keys");
    const { privateKey, publicKey } = await done(store.get("device"));
    const exported = [];
    for (const form of ["pkcs8", "jwk"]) {
      await crypto.subtle.exportKey(form, privateKey).catch(({ name }) => exported.push(name));
    }
    const id = await crypto.subtle.digest("SHA-256", await crypto.subtle.exportKey("raw", publicKey));
    return {
      names: await done(database.transaction("keys").objectStore("keys").getAllKeys()),
      extractable: privateKey.extractable,
      exported,
      id: Array.from(new Uint8Array(id), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    };
  })()`);
  expect(outcome).toEqual({
    names: ["device"],
    extractable: false,
    exported: ["InvalidAccessError", "InvalidAccessError"],
    id: deviceId,
  });
});

test("two that start at once are the same device", async () => {
  const [one, other] = await pairTogether(tab.page, 2);
  expect(one).toEqual(other);
});

test("a page of another origin pairs too", async () => {
  const other = await tab.page.context().newPage();
  const origin = new URL(browser.origin);
  origin.port = String(portOf(pages));
  await openPage(other, origin.origin);
  const asked = await pair(other);
  const fingerprints = (await pendingRequests()).map(({ fingerprint }: Asked) => fingerprint);
  expect(fingerprints).toContain(asked.fingerprint);
});
