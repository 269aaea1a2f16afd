/**
 * The client of the API against the Worker with read replication on: its lists come from a copy that lags, and
 * still hold all that it has changed.
 */
import { createApplication, createClient, createConfig, listApplications } from "drawbridge-client";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { NEAR_PAUSE_MS } from "../../src/db/near";
import { call, newOrganisation, ORIGIN, type Tenant } from "../support/client";
import { otherIsolate } from "../support/isolates";
import { LaggingD1 } from "../support/lagging-d1";

type Isolate = Awaited<ReturnType<typeof otherIsolate>>;

const d1 = new LaggingD1();
let there: Isolate;
/** Another isolate beside it, with a memory of its own. */
let beside: Isolate;
/** Which of them gets the client's calls. */
let reached: Isolate;
let tenant: Tenant;
let client: ReturnType<typeof createClient>;
let now = Date.now();

beforeAll(async () => {
  there = await otherIsolate({ DB: d1.binding });
  beside = await otherIsolate({ DB: d1.binding });
});

beforeEach(async () => {
  // So much later that the isolates trust nothing that they know from the test before.
  now += 2 * NEAR_PAUSE_MS;
  vi.useFakeTimers({ toFake: ["Date"], now });
  tenant = await newOrganisation();
  client = createClient(createConfig({ baseUrl: ORIGIN, auth: tenant.key, fetch: send }));
  reached = there;
});

afterEach(() => {
  vi.useRealTimers();
});

async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const { method, url, headers, body } = new Request(input, init);
  const answer = await reached(method, url.slice(ORIGIN.length), {
    headers: Object.fromEntries(headers),
    ...(body && { body: await new Response(body).json() }),
  });
  return new Response(answer.text, answer);
}

/** The names in the client's list. */
async function names(): Promise<string[]> {
  const { data } = await listApplications({ client, throwOnError: true });
  return data.data.map(({ name }) => name);
}

/** The client changes something. */
async function make(name: string): Promise<void> {
  await createApplication({ client, body: { name }, throwOnError: true });
}

/** Somebody else makes an application, elsewhere. */
async function makeElsewhere(name: string): Promise<void> {
  const made = await call("POST", "/v1/applications", { key: tenant.key, body: { name } });
  expect(made.status).toBe(201);
}

test("its second list comes from the copy", async () => {
  expect(await names()).toEqual([]);
  await d1.catchUp();
  await makeElsewhere("new");
  d1.served.length = 0;
  expect(await names()).toEqual([]);
  expect(new Set(d1.served.map(({ by }) => by))).toEqual(new Set(["copy"]));
});

test("a list right after a create shows what was made, though the copy does not have it", async () => {
  await names();
  await d1.catchUp();
  await make("mine");
  expect(await names()).toEqual(["mine"]);
  expect(await names()).toEqual(["mine"]);
});

test("it does in another isolate, which has heard nothing of the create", async () => {
  reached = beside;
  await names();
  await d1.catchUp();
  reached = there;
  await make("mine");
  reached = beside;
  expect(await names()).toEqual(["mine"]);
});
