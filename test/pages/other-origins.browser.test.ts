/** A page of another origin in a real browser: what it may call, and what it can read of the answers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBrowser, type Tab, type TestBrowser } from "../support/browser";
import { type OtherOrigin, startOtherOrigin } from "../support/other-origin";

let browser: TestBrowser;
let otherOrigin: OtherOrigin;
let organisationId: number;
let key: string;
let tab: Tab;

beforeAll(async () => {
  browser = await startBrowser();
  const organisation = await browser.server.newOrganisation("Game");
  organisationId = organisation.id;
  key = organisation.api_key.token;
  otherOrigin = await startOtherOrigin(browser.origin);
});

afterAll(async () => {
  otherOrigin?.close();
  await browser?.close();
});

beforeEach(async () => {
  tab = await browser.open();
  await tab.page.goto(otherOrigin.url);
});

/** What a page reads of an answer; `blocked`: the browser keeps it from the page. */
interface Seen {
  status: number;
  headers: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  body: any;
}

/** Calls the Worker from the page, as a game does. */
function fetchInPage(path: string, init: RequestInit = {}): Promise<Seen | "blocked"> {
  const text = `(async () => {
    try {
      const answer = await fetch(${JSON.stringify(browser.origin + path)}, ${JSON.stringify(init)});
      const body = await answer.json();
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body };
    } catch (error) {
      if (error instanceof TypeError) return "blocked";
      throw error;
    }
  })()`;
  return tab.page.evaluate<Seen | "blocked">(text);
}

function readable(seen: Seen | "blocked"): Seen {
  if (seen === "blocked") throw new Error("the browser kept the answer from the page");
  return seen;
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify(body),
});

/** A session of this organisation, made by its backend. */
async function newSession() {
  const answer = await fetch(`${browser.server.origin}/v1/relays/sessions`, {
    ...json({ join_code: true }),
    headers: { Authorization: `token ${key}` },
  });
  return answer.json() as Promise<{ session_id: string; join_code: string }>;
}

describe("a page of another origin", () => {
  test("joins a session, with a header that needs a preflight, and reads its tokens", async () => {
    const { session_id, join_code } = await newSession();
    const headers = { "Idempotency-Key": "0123456789abcdef" };
    const first = readable(await fetchInPage("/v1/relays/join", json({ join_code }, headers)));
    expect(first).toMatchObject({ status: 200, body: { session_id } });
    const again = readable(await fetchInPage("/v1/relays/join", json({ join_code }, headers)));
    expect(again.body).toEqual(first.body);
    expect(again.headers["idempotent-replayed"]).toBe("true");
  });

  test("hosts a session with a publishable key, and reads its join code", async () => {
    const made = await fetch(`${browser.server.origin}/api-keys`, {
      ...json({
        name: "In the page",
        emails: [],
        organizationsIds: [organisationId],
        permissions: ["relays:host"],
      }),
      headers: { Authorization: `token ${key}` },
    });
    const { token } = (await made.json()) as { token: { value: string } };
    const headers = { Authorization: `Bearer ${token.value}` };
    const { status, body } = readable(await fetchInPage("/v1/relays/host", json({}, headers)));
    expect([status, body.join_code]).toEqual([200, expect.stringMatching(/^.{4}-.{4}$/)]);
    expect(await fetchInPage("/key", { headers })).toBe("blocked");
  });

  test("reads the code of an error, its id, and how long to wait", async () => {
    const path = "/v1/applications/pa-00000000000000/pairing/challenges";
    const unknown = readable(await fetchInPage(path, json({})));
    expect([unknown.status, unknown.body.code]).toEqual([404, "application-not-found"]);
    expect(unknown.headers["x-request-id"]).toBe(unknown.body.request_id);
    for (let i = 0; i < 120; i++) await fetch(browser.server.origin + path, json({}));
    const refused = readable(await fetchInPage(path, json({})));
    expect([refused.status, refused.body.code]).toEqual([429, "too-many-asks"]);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
  });

  test("cannot create a session with a key, and none is created", async () => {
    const headers = { Authorization: `token ${key}` };
    expect(await fetchInPage("/v1/relays/sessions", json({}, headers))).toBe("blocked");
    const list = await fetch(`${browser.server.origin}/v1/relays/sessions`, { headers });
    const before = ((await list.json()) as { total_count: number }).total_count;
    expect(await fetchInPage("/v1/relays/sessions", json({}, headers))).toBe("blocked");
    const after = await fetch(`${browser.server.origin}/v1/relays/sessions`, { headers });
    expect(((await after.json()) as { total_count: number }).total_count).toBe(before);
  });

  test("reads the description of the API, which is a file", async () => {
    const { status, body } = readable(await fetchInPage("/openapi.json"));
    expect([status, body.info.title]).toEqual([200, "Drawbridge"]);
  });
});
