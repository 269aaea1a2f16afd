/** The sweep says that D1 fills: in the log each minute, and as an event once a day. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/db/open";
import { askSize } from "../../src/db/size";
import { call, newOrganisation, type Tenant } from "../support/client";
import { advance, stopClock } from "../support/clock";
import { recordedIn } from "../support/journals";
import { sweepThrough } from "../support/sweep";
import { EVENTS } from "../support/webhooks";

const TYPE = "service.database_filling";

let size = 0;
let lines: string[] = [];

beforeEach(async () => {
  stopClock();
  size = await askSize(openDatabase(env));
  lines = [];
  vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A run of the sweep of a deployment whose D1 is full to this share. */
function sweepAt(share: number, operator: Tenant | null): Promise<void> {
  const limit = share === 0 ? 0 : Math.floor(size / share);
  return sweepThrough(undefined, {
    DATABASE_LIMIT_BYTES: String(limit),
    OPERATOR_ORGANISATION_ID: String(operator?.id ?? 0),
  });
}

async function eventsOf({ key }: Tenant) {
  const { body } = await call("GET", `${EVENTS}?type=${TYPE}`, { key });
  return body.data;
}

function said(): { message: string; bytes: number; limit_bytes: number }[] {
  return lines.map((line) => JSON.parse(line)).filter(({ message }) => /^database /.test(message));
}

test("nobody is told while there is room, or no limit", async () => {
  const operator = await newOrganisation();
  await sweepAt(0.69, operator);
  await sweepAt(0, operator);
  expect(said()).toEqual([]);
  expect(await eventsOf(operator)).toEqual([]);
});

test("from 70 % on each run logs it, and the operators' organisation gets one event a day", async () => {
  const operator = await newOrganisation();
  const other = await newOrganisation();
  await sweepAt(0.75, operator);
  advance(60);
  await sweepAt(0.76, operator);
  expect(said()).toEqual([
    {
      message: "database filling",
      bytes: expect.any(Number),
      limit_bytes: Math.floor(size / 0.75),
    },
    {
      message: "database filling",
      bytes: expect.any(Number),
      limit_bytes: Math.floor(size / 0.76),
    },
  ]);
  const [event, ...more] = await eventsOf(operator);
  expect(more).toEqual([]);
  expect(event.data).toEqual({
    version: Date.parse(event.timestamp),
    size_bytes: said()[0]?.bytes,
    limit_bytes: Math.floor(size / 0.75),
    creates_refused: false,
  });
  expect(await eventsOf(other)).toEqual([]);
  advance(86_400);
  await sweepAt(0.75, operator);
  expect(await eventsOf(operator)).toHaveLength(2);
});

test("from 90 % on, the event that says that creates are refused comes at once", async () => {
  const operator = await newOrganisation();
  await sweepAt(0.8, operator);
  advance(60);
  await sweepAt(0.95, operator);
  await sweepAt(0.95, operator);
  expect(said().map(({ message }) => message)).toEqual([
    "database filling",
    "database full",
    "database full",
  ]);
  const events = await eventsOf(operator);
  expect(events.map(({ data }: { data: object }) => data)).toMatchObject([
    { creates_refused: true },
    { creates_refused: false },
  ]);
});

test("an operators' organisation that was deleted, or never was, is told nothing", async () => {
  const gone = await newOrganisation();
  await call("DELETE", `/v1/organisations/${gone.id}`, { key: env.DRAWBRIDGE_ROOT_TOKEN });
  const never = { ...gone, id: gone.id + 1_000 };
  await sweepAt(0.8, gone);
  await sweepAt(0.8, never);
  await sweepAt(0.8, null);
  expect(said()).toHaveLength(3);
  for (const { id } of [gone, never]) expect(await recordedIn(id)).toEqual([]);
});
