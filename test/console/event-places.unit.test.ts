/** Where the console leads from an event. The events are those that docs/webhooks.md shows: real ones. */
import { readFileSync } from "node:fs";
import type { Event } from "drawbridge-client";
import { expect, test } from "vitest";
import { furtherPlaces, subjectOf } from "../../console/src/pages/events/event-places";
import { EVENT_TYPES } from "../../src/events/event-types";

const documented: Event[] = [
  ...readFileSync("docs/webhooks.md", "utf8").matchAll(
    /#### `[\w.-]+`\n[\s\S]*?```json\n([\s\S]*?)```/g,
  ),
].map(([, json = ""]) => JSON.parse(json));

/** A documented event of a type, with other data. */
function event(type: string, data: object = {}): Event {
  const found = documented.find((one) => one.type === type);
  if (!found) throw new Error(`docs/webhooks.md shows no ${type}`);
  return { ...found, data: { ...found.data, ...data } } as Event;
}

test("every event has a name and a page", () => {
  // The test of ricloud's format is shown as that format has it.
  const standard = EVENT_TYPES.filter((type) => type !== "webhook_config.test");
  for (const type of standard) {
    const { text, parts } = subjectOf(event(type));
    expect(text, type).toBeTruthy();
    expect(
      parts.every((part) => typeof part === "string" && part !== ""),
      type,
    ).toBe(true);
  }
});

test.each<[type: string, data: object, parts: string[]]>([
  ["session.active", { id: "s", kind: "relay" }, ["sessions", "s"]],
  ["session.failed", { id: "s", kind: "source" }, ["source-sessions", "s"]],
  ["key.created", { id: 7 }, ["keys", "7"]],
  [
    "relay-permission.created",
    { connectionId: "a", remoteConnectionId: "b" },
    ["permissions", "pair", "a", "b"],
  ],
  ["connection.created", { connectionId: "a" }, ["permissions", "list", "a"]],
  ["connector.created", {}, ["source-sessions"]],
  ["service.database_filling", {}, ["events"]],
  ["device.pair.requested", {}, ["pairing"]],
  ["device.pair.approved", { application_id: "p", device_id: "d" }, ["devices", "p", "d"]],
  ["device.token.rotated", { application_id: "p", device_id: "d" }, ["devices", "p", "d"]],
  ["relay-node.online", { id: "rn" }, ["relay-nodes", "rn"]],
  ["webhook-endpoint.created", { id: "whe" }, ["webhooks", "whe"]],
])("%s about %j leads to %j", (type, data, parts) => {
  expect(subjectOf(event(type, data)).parts).toEqual(parts);
});

test("a device has the name that an operator gave it, then its own, and its fingerprint", () => {
  const named = (label: string | null, display_name: string) => {
    const { text, fingerprint } = subjectOf(
      event("device.removed", { label, display_name, fingerprint: "F" }),
    );
    return [text, fingerprint];
  };
  expect(named("Till 3", "laptop")).toEqual(["Till 3", "F"]);
  expect(named(null, "laptop")).toEqual(["laptop", "F"]);
  expect(named(null, "")).toEqual(["F", null]);
  expect(subjectOf(event("key.created")).fingerprint).toBeNull();
});

test("a session leads to its key too, a pairing request to the page Pairing, a key to nothing else", () => {
  expect(furtherPlaces(event("session.active", { key_id: 4 }))).toEqual([
    { title: "Its API key", parts: ["keys", "4"] },
  ]);
  expect(furtherPlaces(event("device.pair.approved")).map(({ parts }) => parts)).toEqual([
    ["pairing"],
  ]);
  expect(furtherPlaces(event("key.created"))).toEqual([]);
});
