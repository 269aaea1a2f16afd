/** The events in the console's filters and forms. */
import { describe, expect, test } from "vitest";
import {
  changePatterns,
  EVENT_GROUPS,
  EVENT_TYPES,
  EVENT_WORDS,
  isPattern,
} from "../../console/src/event-words";
import * as service from "../../src/events/event-types";

test("the console knows the events of the service, and says something of each", () => {
  expect(EVENT_TYPES.toSorted()).toEqual(service.EVENT_TYPES.toSorted());
  for (const words of Object.values(EVENT_WORDS)) expect(words).not.toBe("");
});

test("every event stands in one group, and the groups have every pattern that the service takes", () => {
  expect(EVENT_GROUPS.flatMap(({ types }) => types).toSorted()).toEqual(EVENT_TYPES.toSorted());
  const patterns = EVENT_GROUPS.flatMap(({ all, parts, types }) => [all, ...parts, ...types]);
  expect(patterns.toSorted()).toEqual(service.EVENT_PATTERNS.toSorted());
  expect(patterns.every(isPattern)).toBe(true);
  expect(isPattern("dev.*")).toBe(false);
  expect(isPattern(null)).toBe(false);
});

describe("a choice of events", () => {
  test.each<[before: string[], pattern: string, wanted: boolean, after: string[]]>([
    [[], "device.removed", true, ["device.removed"]],
    [["device.removed"], "device.removed", true, ["device.removed"]],
    [["device.removed", "key.created"], "device.removed", false, ["key.created"]],
    [["device.removed", "key.created"], "device.*", true, ["key.created", "device.*"]],
    [["device.pair.*", "device.pair.approved"], "device.*", true, ["device.*"]],
    [["device.*"], "device.*", false, []],
    [["device.removed"], "device.pair.*", true, ["device.removed", "device.pair.*"]],
  ])("%j with %s set to %s is %j", (before, pattern, wanted, after) => {
    expect(changePatterns(before, pattern, wanted)).toEqual(after);
  });
});
