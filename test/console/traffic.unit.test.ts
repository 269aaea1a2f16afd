/** The rates of a session's traffic, from counts that are up to five seconds behind. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BEHIND_MS, KEPT_MS, Traffic } from "../../console/src/pages/sessions/traffic";

const START = 1_800_000_000_000;

/** What is read of one user. */
function user(bytesIn: number | null, bytesOut: number | null = 0, token = 1) {
  return { authorization_token: token, bytes_in: bytesIn, bytes_out: bytesOut };
}

/** All bytes that were drawn, in and out. */
function drawn(traffic: Traffic) {
  const { bytes_in: ins, bytes_out: outs } = traffic.rates();
  const sum = (rates: number[]) => rates.reduce((total, rate) => total + rate * 2, 0);
  return [sum(ins), sum(outs)];
}

/** Readings every second, of counts that the service writes every five seconds. */
function steady(seconds: number, perSecond: number): Traffic {
  const traffic = new Traffic();
  for (let second = 0; second <= seconds; second += 1) {
    const count = Math.floor(second / 5) * 5 * perSecond;
    traffic.add(START + second * 1_000, [user(count, 2 * count)]);
  }
  return traffic;
}

describe("the rates of traffic", () => {
  test("are even, although the counts move in steps of five seconds", () => {
    const { at, bytes_in: ins, bytes_out: outs } = steady(60, 1_000).rates();
    expect(at.length).toBeGreaterThan(20);
    for (const rate of ins) expect(rate).toBeCloseTo(1_000);
    for (const rate of outs) expect(rate).toBeCloseTo(2_000);
  });

  test("end five seconds ago, because what is later may still come", () => {
    const { at } = steady(60, 1_000).rates();
    expect(at.at(-1)).toBeLessThanOrEqual((START + 60_000 - BEHIND_MS) / 1_000);
  });

  test("are known in words after ten seconds", () => {
    expect(steady(9, 1_000).latest()).toBeNull();
    expect(steady(30, 1_000).latest()).toEqual({ bytes_in: 1_000, bytes_out: 2_000 });
  });

  test("are nothing before the first reading: what went before it is not drawn", () => {
    const traffic = new Traffic();
    expect(traffic.rates().at).toEqual([]);
    expect(traffic.latest()).toBeNull();
    traffic.add(START, [user(1_000_000)]);
    traffic.add(START + 30_000, [user(1_000_000)]);
    expect(drawn(traffic)).toEqual([0, 0]);
  });

  test("have all that a user who came later has sent, and lose nothing when one leaves", () => {
    const traffic = new Traffic();
    traffic.add(START, [user(0)]);
    traffic.add(START + 6_000, [user(600), user(400, 0, 2)]);
    traffic.add(START + 12_000, [user(600)]);
    traffic.add(START + 30_000, [user(600)]);
    expect(drawn(traffic)[0]).toBeCloseTo(1_000);
  });

  test("take what is not known for no reading", () => {
    const traffic = new Traffic();
    traffic.add(START, [user(100)]);
    traffic.add(START + 4_000, [user(null, null)]);
    traffic.add(START + 8_000, [user(900)]);
    traffic.add(START + 30_000, [user(900)]);
    expect(drawn(traffic)[0]).toBeCloseTo(800);
  });

  test("do not have what a user had sent before the first count that is known", () => {
    const traffic = new Traffic();
    traffic.add(START, [user(null, null)]);
    traffic.add(START + 6_000, [user(1_000_000)]);
    traffic.add(START + 12_000, [user(1_000_500)]);
    traffic.add(START + 30_000, [user(1_000_500)]);
    expect(drawn(traffic)[0]).toBeCloseTo(500);
  });

  test("spread over a time in which nobody looked", () => {
    const traffic = new Traffic();
    traffic.add(START, [user(0)]);
    traffic.add(START + 60_000, [user(60_000)]);
    traffic.add(START + 70_000, [user(60_000)]);
    const { bytes_in: ins } = traffic.rates();
    expect(Math.max(...ins)).toBeCloseTo(1_000);
  });

  test("are kept for ten minutes", () => {
    const { at } = steady(1_200, 10).rates();
    const first = (at[0] ?? 0) * 1_000;
    expect(START + 1_200_000 - first).toBeLessThanOrEqual(KEPT_MS + BEHIND_MS + 2_000);
  });

  test("add up to what the counts have risen by, however they rise", () => {
    const steps = fc.array(
      fc.record({
        pause: fc.integer({ min: 500, max: 20_000 }),
        bytes: fc.integer({ min: 0, max: 100_000 }),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const traffic = new Traffic();
        let at = START;
        let count = 0;
        traffic.add(at, [user(count)]);
        for (const { pause, bytes } of all) {
          at += pause;
          count += bytes;
          traffic.add(at, [user(count)]);
        }
        // Until all of it may be drawn.
        traffic.add(at + BEHIND_MS + 4_000, [user(count)]);
        expect(drawn(traffic)[0]).toBeCloseTo(count, 3);
      }),
    );
  });
});
