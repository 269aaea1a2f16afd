/**
 * The game that `npm start` serves at `/play/`, played in two browsers. Each reaches the service through a
 * proxy of its own, so that the network of one can be cut.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { launchChromium, type Tab, watch } from "../support/browser";
import { startProxy, type TcpProxy } from "../support/tcp-proxy";

const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 740 },
  hasTouch: true,
  colorScheme: "dark",
};

const state = mkdtempSync(join(tmpdir(), "game-"));
let service: ChildProcess;
/** The page's address, as `npm start` prints it, at a host that nothing takes for a local one. */
let address: string;
let proxies: [TcpProxy, TcpProxy];
let browsers: Browser[] = [];
let tabs: Tab[] = [];

beforeAll(async () => {
  const port = await freePort();
  service = spawn(process.execPath, ["scripts/start.mjs"], {
    env: { ...process.env, PORT: String(port), DRAWBRIDGE_STATE: state },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed = await outputUntil(service, "is ready at", "The request log follows");
  const [, shown = ""] = /a game\s+(\S+)/.exec(printed) ?? [];
  expect(shown).toBe(`http://localhost:${port}/play/`);
  address = shown.replace("localhost", "play.test");
  const origin = `http://127.0.0.1:${port}`;
  proxies = [await startProxy(origin), await startProxy(origin)];
  browsers = await Promise.all(
    proxies.map((proxy) =>
      launchChromium(new URL(address).origin, { to: Number(new URL(proxy.origin).port) }),
    ),
  );
});

afterEach(async () => {
  for (const proxy of proxies) proxy.restore();
  const { game_key, api_key } = JSON.parse(readFileSync(join(state, "organisation.json"), "utf8"));
  const seen = tabs.flatMap(({ requests }) => requests);
  expect(seen.some((url) => url.startsWith("ws://"))).toBe(true);
  const { host } = new URL(address);
  for (const url of seen) {
    expect(new URL(url).host).toBe(host);
    // The only query is the code of the link that players give to each other.
    expect(url).toMatch(/^[^?#]*(\?code=[A-Z0-9-]+)?$/);
    expect(url).not.toContain(game_key);
    expect(url).not.toContain(api_key);
  }
  for (const tab of tabs) await tab.page.context().close();
  tabs = [];
});

afterAll(async () => {
  for (const browser of browsers) await browser.close();
  for (const proxy of proxies ?? []) proxy.close();
  const ended = new Promise((done) => service.once("exit", done));
  service.kill("SIGTERM");
  await ended;
  rmSync(state, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const found = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof found === "object" && found ? found.port : 0;
}

/** What a program has printed when all of these stand in it. */
function outputUntil(child: ChildProcess, ...parts: string[]): Promise<string> {
  return new Promise((found, failed) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text) => {
        output += text;
        if (parts.every((part) => output.includes(part))) found(output);
      });
    }
    child.once("exit", () => failed(new Error(output)));
  });
}

/** The page, in the first or the second browser, with this name filled in. */
async function open(
  which: 0 | 1,
  name: string,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const browser = browsers[which];
  if (!browser) throw new Error("there is no such browser");
  const tab = watch(await (await browser.newContext(options)).newPage());
  tabs.push(tab);
  await tab.page.goto(address);
  await tab.page.getByLabel("Your name").fill(name);
  return tab.page;
}

const inGame = (page: Page) => page.getByText("Connected", { exact: true }).waitFor();

async function host(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Host a game" }).click();
  await inGame(page);
  return page.locator("#shown-code").innerText();
}

async function join_(page: Page, code: string) {
  await page.getByLabel("Code", { exact: true }).fill(code);
  await page.getByRole("button", { name: "Join", exact: true }).click();
}

/** Where a page shows a player: shares of the field. */
function placeOf(page: Page, name: string): Promise<{ x: number; y: number } | null> {
  return page.evaluate(`(() => {
    const disc = [...document.querySelectorAll(".player")]
      .find((each) => each.textContent.includes(${JSON.stringify(name)}));
    return disc
      ? { x: Number(disc.style.getPropertyValue("--x")), y: Number(disc.style.getPropertyValue("--y")) }
      : null;
  })()`);
}

/** What a page's list says of a player, such as `Anna host 0`. */
function rowOf(page: Page, name: string): Promise<string> {
  const row = page.locator("#players li").filter({ hasText: name });
  return row
    .locator("span")
    .allInnerTexts()
    .then((texts) => texts.filter(Boolean).join(" "));
}

/** Holds a key until the player is at that edge, and waits until the other page shows it too. */
async function walk(page: Page, other: Page, name: string, key: "ArrowLeft" | "ArrowRight") {
  const there = (place: { x: number } | null) =>
    key === "ArrowLeft" ? (place?.x ?? 1) < 0.04 : (place?.x ?? 0) > 0.96;
  await page.keyboard.down(key);
  for (const each of [page, other]) {
    await expect.poll(async () => there(await placeOf(each, name))).toBe(true);
  }
  await page.keyboard.up(key);
}

/** The points of a player, as a page shows them. */
const pointsOf = async (page: Page, name: string) =>
  Number(/\d+$/.exec(await rowOf(page, name))?.[0] ?? Number.NaN);

/** Holds the mouse where the star is, until the player has another point. Who joins may take it away first. */
async function catchStar(page: Page, name: string) {
  const before = await pointsOf(page, name);
  const aim = async () => {
    const box = await page.locator("#star").boundingBox();
    await page.mouse.move(
      (box?.x ?? 0) + (box?.width ?? 0) / 2,
      (box?.y ?? 0) + (box?.height ?? 0) / 2,
    );
  };
  await aim();
  await page.mouse.down();
  const pointsNow = async () => {
    await aim();
    return pointsOf(page, name);
  };
  await expect.poll(pointsNow).toBeGreaterThan(before);
  await page.mouse.up();
}

const errorsOf = (which: number) => tabs[which]?.errors;

describe("the game at /play/", () => {
  test("is played by two: one hosts and one joins by the link, each sees the other move, with keys and a finger", async () => {
    const anna = await open(0, "Anna");
    const code = await host(anna);
    expect(code).toMatch(/^[A-Z0-9]{4}-[A-Z0-9]{4}$/);
    const bruno = await open(1, "Bruno", PHONE);
    await bruno.goto(`${address}?code=${code}`);
    await bruno.getByLabel("Your name").fill("Bruno");
    expect(await bruno.getByLabel("Code", { exact: true }).inputValue()).toBe(code);
    await bruno.getByRole("button", { name: "Join", exact: true }).click();
    await inGame(bruno);

    await expect.poll(() => rowOf(anna, "Anna")).toMatch(/^Anna you host \d+$/);
    await expect.poll(() => rowOf(anna, "Bruno")).toMatch(/^Bruno \d+$/);
    await expect.poll(() => rowOf(bruno, "Anna")).toMatch(/^Anna host \d+$/);
    expect(await rowOf(bruno, "Bruno")).toMatch(/^Bruno you \d+$/);
    for (const page of [anna, bruno]) {
      await expect.poll(() => page.locator("#count").innerText()).toBe("2");
      await expect.poll(() => page.locator("#round-trip").innerText()).toMatch(/^\d+ ms$/);
    }
    await walk(anna, bruno, "Anna", "ArrowLeft");
    await walk(anna, bruno, "Anna", "ArrowRight");
    await walk(bruno, anna, "Bruno", "ArrowRight");

    // A finger, held near the left edge.
    const box = await bruno.locator("#field").boundingBox();
    const point = { x: (box?.x ?? 0) + 25, y: (box?.y ?? 0) + 100 };
    const touch = await bruno.context().newCDPSession(bruno);
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] });
    await expect.poll(async () => (await placeOf(anna, "Bruno"))?.x ?? 1).toBeLessThan(0.12);
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });

    for (const page of [anna, bruno]) {
      expect(
        await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        ),
      ).toBe(0);
    }
    if (process.env.SCREENSHOTS) {
      await anna.screenshot({ path: `${process.env.SCREENSHOTS}/game.png` });
      await bruno.screenshot({ path: `${process.env.SCREENSHOTS}/game-phone.png`, fullPage: true });
    }
    expect([errorsOf(0), errorsOf(1)]).toEqual([[], []]);
  });

  test("says so when a player's network goes, and goes on when it is back", async () => {
    const anna = await open(0, "Anna");
    const code = await host(anna);
    const bruno = await open(1, "Bruno");
    await join_(bruno, code);
    await inGame(bruno);
    await walk(bruno, anna, "Bruno", "ArrowLeft");

    proxies[1].cut();
    await bruno.getByText("Reconnecting …", { exact: true }).waitFor();
    await bruno.getByText("The connection is gone. Reconnecting …").waitFor();
    await expect.poll(() => rowOf(anna, "Bruno")).toMatch(/^Bruno away \d+$/);
    await expect.poll(() => anna.locator("#count").innerText()).toBe("1");
    if (process.env.SCREENSHOTS) {
      await bruno.screenshot({ path: `${process.env.SCREENSHOTS}/game-away.png` });
    }

    proxies[1].restore();
    await inGame(bruno);
    await bruno.getByText(/You are back, after \d+ s\./).waitFor();
    await expect.poll(() => rowOf(anna, "Bruno")).toMatch(/^Bruno \d+$/);
    await walk(bruno, anna, "Bruno", "ArrowRight");
    await walk(anna, bruno, "Anna", "ArrowLeft");
  });

  test("goes on with another host when the host leaves, with everybody where they were; who was the host may come back", async () => {
    const anna = await open(0, "Anna");
    const code = await host(anna);
    const bruno = await open(1, "Bruno");
    await join_(bruno, code);
    await inGame(bruno);
    const clara = await open(1, "Clara");
    await join_(clara, code);
    await inGame(clara);
    await catchStar(bruno, "Bruno");
    await walk(bruno, clara, "Bruno", "ArrowLeft");
    await walk(clara, bruno, "Clara", "ArrowRight");
    const points = [await pointsOf(clara, "Bruno"), await pointsOf(clara, "Clara")];
    expect(points[0]).toBeGreaterThan(0);
    const before = { bruno: await placeOf(clara, "Bruno"), clara: await placeOf(bruno, "Clara") };

    await anna.getByRole("button", { name: "Leave" }).click();
    await bruno.getByText("The host is gone.").waitFor();
    await bruno.getByText("You are the host now.").waitFor();
    await clara.getByText("Bruno is the host now.").waitFor();
    await expect.poll(() => rowOf(clara, "Bruno")).toMatch(/^Bruno host \d+$/);
    expect(await clara.locator("#players").innerText()).not.toContain("Anna");
    expect([await pointsOf(clara, "Bruno"), await pointsOf(clara, "Clara")]).toEqual(points);
    const after = { bruno: await placeOf(clara, "Bruno"), clara: await placeOf(bruno, "Clara") };
    for (const name of ["bruno", "clara"] as const) {
      // Each glides to where it was last seen, and gets ever closer.
      expect(after[name]?.x).toBeCloseTo(before[name]?.x ?? Number.NaN, 1);
      expect(after[name]?.y).toBeCloseTo(before[name]?.y ?? Number.NaN, 2);
    }
    await walk(bruno, clara, "Bruno", "ArrowRight");
    await walk(clara, bruno, "Clara", "ArrowLeft");

    await join_(anna, code);
    await inGame(anna);
    await expect.poll(() => rowOf(anna, "Anna")).toMatch(/^Anna you \d+$/);
    await walk(anna, clara, "Anna", "ArrowRight");
    if (process.env.SCREENSHOTS) {
      await anna.screenshot({ path: `${process.env.SCREENSHOTS}/game-three.png` });
    }
  });

  test("is gone on with by a page that is loaded anew, as the same player", async () => {
    const anna = await open(0, "Anna");
    const code = await host(anna);
    const bruno = await open(1, "Bruno");
    await join_(bruno, code);
    await inGame(bruno);
    await walk(bruno, anna, "Bruno", "ArrowRight");
    await bruno.reload();
    await inGame(bruno);
    await anna.reload();
    await inGame(anna);
    await expect.poll(() => rowOf(anna, "Anna")).toMatch(/^Anna you host \d+$/);
    await expect.poll(async () => (await placeOf(anna, "Bruno"))?.x ?? 0).toBeGreaterThan(0.9);
    expect(await anna.locator("#players li").count()).toBe(2);
  });

  test("says that it is over when its session has ended", async () => {
    const anna = await open(0, "Anna");
    await host(anna);
    const { api_key } = JSON.parse(readFileSync(join(state, "organisation.json"), "utf8"));
    const headers = { Authorization: `token ${api_key}` };
    const url = `${proxies[0].origin}/v1/relays/sessions`;
    const { sessions } = (await (await fetch(url, { headers })).json()) as {
      sessions: { session_id: string }[];
    };
    for (const { session_id } of sessions) {
      await fetch(`${url}/${session_id}`, { method: "DELETE", headers });
    }
    await anna.getByText("This game is over.").waitFor();
    await host(anna);

    // And to a page that is loaded anew when the session has ended meanwhile.
    await anna.routeWebSocket(/sessions/, (socket) =>
      socket.close({ code: 4410, reason: "ended" }),
    );
    await anna.reload();
    await anna.getByText("This game is over.").waitFor();
  });

  test("says in plain words why nobody gets in: no code, a wrong one, a full game, no network, no key", async () => {
    const anna = await open(0, "Anna");
    const code = await host(anna);
    const page = await open(1, "Bruno");
    const problem = page.getByRole("alert");
    const says = (text: string) => expect.poll(() => problem.innerText()).toContain(text);
    await join_(page, " ");
    await says("Type the code");
    await join_(page, "AAAA-AAAA");
    await says("No game has this code");

    await page.route("**/v1/relays/join", (route) =>
      route.fulfill({
        status: 409,
        json: { code: "session-full", message: "The session has 8 users." },
      }),
    );
    await join_(page, code);
    await says("This game is full");
    await page.unroute("**/v1/relays/join");

    proxies[1].cut();
    await join_(page, code);
    await says("The service cannot be reached");
    proxies[1].restore();

    await page.route("**/play/config.js", (route) =>
      route.fulfill({
        contentType: "text/javascript",
        body: 'export const url = location.origin; export const key = "drb_wrong";',
      }),
    );
    await page.reload();
    await page.getByRole("button", { name: "Host a game" }).click();
    await says("does not take the key");
  });
});
