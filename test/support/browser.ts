/** Chromium, for tests that see the pages as a person does. It reaches the Worker and nothing else. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { LIMIT_MS } from "./eventually";
import { type ServerOptions, startServer, type TestServer } from "./server";

/**
 * A host that nothing takes for a local one: libraries leave out at `localhost` what they do elsewhere, such
 * as asking a server of their makers.
 */
const HOST = "drawbridge.test";

export interface TestBrowser {
  /** The Worker's origin as the browser knows it. */
  origin: string;
  server: TestServer;
  /** A new tab without cookies and storage. */
  open(options?: BrowserContextOptions): Promise<Tab>;
  close(): Promise<void>;
}

export interface Tab {
  page: Page;
  /** What went wrong so far: console errors (broken Content-Security-Policy among them), exceptions. */
  errors: string[];
  /** The URL of each request so far, and of each websocket. `data:` URLs make no request. */
  requests: string[];
}

export interface TestBrowserOptions extends ServerOptions {
  /** A port of the same host: its pages count as if they came over HTTPS too. */
  otherPort?: number;
}

/** Starts the Worker, and a Chromium in which no other host has an address. */
export async function startBrowser({
  otherPort,
  ...options
}: TestBrowserOptions = {}): Promise<TestBrowser> {
  const server = await startServer(options);
  const { port } = new URL(server.origin);
  const origin = `http://${HOST}:${port}`;
  const others = otherPort === undefined ? [] : [`http://${HOST}:${otherPort}`];
  const browser = await launchChromium(origin, { others }).catch(async (error) => {
    await server.close();
    throw error;
  });
  return {
    origin,
    server,
    open: async (options = {}) => {
      const context = await browser.newContext({ baseURL: origin, ...options });
      return watch(await context.newPage());
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

/**
 * A Chromium in which no host has an address but that of this origin, which is on loopback.
 * @param to the port at which it finds all that it asks of this host; the one of each URL if left out
 * @param others further origins whose pages count as if they came over HTTPS
 */
export function launchChromium(
  origin: string,
  { to, others = [] }: { to?: number; others?: string[] } = {},
): Promise<Browser> {
  const { hostname } = new URL(origin);
  const target = to === undefined ? "127.0.0.1" : `127.0.0.1:${to}`;
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--host-resolver-rules=MAP ${hostname} ${target}, MAP * ~NOTFOUND`,
      // As over HTTPS, where the pages are in production.
      `--unsafely-treat-insecure-origin-as-secure=${[origin, ...others].join()}`,
    ],
  });
}

/** Notes what a page does from now on. */
export function watch(page: Page): Tab {
  const errors: string[] = [];
  const requests: string[] = [];
  page.setDefaultTimeout(LIMIT_MS);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) requests.push(request.url());
  });
  page.on("websocket", (socket) => requests.push(socket.url()));
  return { page, errors, requests };
}
