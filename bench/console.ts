/**
 * `npm run bench:console`: how long the console takes from the address to its first list, on this machine:
 * Chromium with an empty cache, the Worker as `wrangler dev` serves it, over loopback, with a thousand rows
 * behind each list. Numbers differ between machines: compare runs on one machine.
 */
import { startBrowser, type TestBrowser } from "../test/support/browser";
import { newFullOrganisation } from "../test/support/full-organisation";
import { fillLists } from "../test/support/many-rows";

const ROWS = 1_000;
const TIMES = 5;
const PAGES = [
  "pairing",
  "devices",
  "sessions",
  "source-sessions",
  "permissions",
  "keys",
  "webhooks",
  "events",
  "relay-nodes",
];

/**
 * Notes in `window.painted` when the first list was there: milliseconds from the start of the navigation. A
 * list says that it updates in the same moment in which it gets its rows; two frames later they are on the screen.
 */
const NOTE_FIRST_LIST = `new MutationObserver((_, observer) => {
  if (document.querySelector("main .freshness")?.textContent !== "Updates by itself") return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => { window.painted = performance.now(); }));
}).observe(document, { subtree: true, childList: true, characterData: true });`;

const browser = await startBrowser({ settings: { ALLOW_INSECURE_WEBHOOKS: "1" } });
try {
  const organisation = await newFullOrganisation(browser, "Bench");
  await fillLists(browser.server, organisation.id, ROWS);
  const { body } = await organisation.api.call("POST", "/v1/auth/session-tokens", {
    token: organisation.key,
  });
  for (const name of PAGES) {
    const times: number[] = [];
    for (let n = 0; n < TIMES; n++) times.push(await firstList(browser, name, body.session_token));
    times.sort((a, b) => a - b);
    const [median, slowest] = [times[(TIMES - 1) / 2], times.at(-1)].map((ms) =>
      Math.round(ms ?? 0),
    );
    console.log(`${name.padEnd(16)} ${String(median).padStart(5)} ms, slowest ${slowest} ms`);
  }
} finally {
  await browser.close();
}

/** Opens a page in a new tab that is signed in, and gives the milliseconds until its list is painted. */
async function firstList({ open }: TestBrowser, name: string, token: string): Promise<number> {
  const { page } = await open({ viewport: { width: 1280, height: 860 } });
  await page.addInitScript(`sessionStorage.setItem("drawbridge-session-token", "${token}");`);
  await page.addInitScript(NOTE_FIRST_LIST);
  await page.goto(`/console#/${name}`);
  let painted: number | null = null;
  while (painted === null) painted = await page.evaluate("window.painted ?? null");
  await page.context().close();
  return painted;
}
