/** How a relay node measures its load, and when it says it without having been asked. */
import { expect, test } from "vitest";
import { LoadMeter } from "../../relay-node/load";
import { TrafficCounts } from "../../relay-node/traffic-counts";

test("rates are those of the time since they were measured last", () => {
  const counts = new TrafficCounts();
  const meter = new LoadMeter(counts, 0);
  counts.datagramsIn = 1_000;
  counts.bytesIn = 50_000;
  counts.dropped.malformed = 20;
  counts.dropped["over-limit"] = 30;
  meter.measure(10_000);
  expect(meter.load(3, 7)).toEqual({
    sessions: 3,
    users: 7,
    datagrams_per_second: 100,
    bytes_per_second: 5_000,
    dropped_per_second: 5,
  });
  meter.measure(20_000);
  expect(meter.load(3, 7).datagrams_per_second).toBe(0);
});

test("a load is worth saying when a figure has doubled or halved, and once a minute at most", () => {
  const meter = new LoadMeter(new TrafficCounts(), 0);
  expect(meter.isWorthSaying(meter.load(4, 0), 1)).toBe(true);
  meter.said(meter.load(4, 0), 1);
  expect(meter.isWorthSaying(meter.load(7, 0), 100_000)).toBe(false);
  expect(meter.isWorthSaying(meter.load(8, 0), 60_000)).toBe(false);
  expect(meter.isWorthSaying(meter.load(8, 0), 60_001)).toBe(true);
  expect(meter.isWorthSaying(meter.load(3, 0), 60_001)).toBe(true);
});
