/** The comparison of calls with `openapi.json`, which every test in workerd rests on: what it finds, and what it passes. */
import { describe, expect, test } from "vitest";
import { type Exchange, findContradiction } from "../support/description";

const EVENT = "/v1/events/01a21576-9b07-799e-bdd0-52ed60dbc868";

/** A call; by default a GET that is answered with JSON. */
function exchange(path: string, status: number, body: unknown, more: Partial<Exchange> = {}) {
  return {
    method: "GET",
    url: new URL(path, "http://localhost"),
    requestBody: "",
    status,
    mediaType: "application/json",
    body: body === null ? "" : JSON.stringify(body),
    ...more,
  };
}

function problem(path: string, status: number, members: object) {
  const body = { type: "t", title: "t", status, detail: "d", code: "c", request_id: "r" };
  const mediaType = "application/problem+json";
  return exchange(path, status, { ...body, ...members }, { mediaType });
}

describe("it passes", () => {
  test.each<[string, Exchange]>([
    ["an answer as described", exchange("/v1/ip", 200, { public_ip: "192.0.2.1" })],
    ["a slash at the end of the path", exchange("/v1/ip/", 200, { public_ip: "192.0.2.1" })],
    ["a refusal as described", problem(EVENT, 404, { code: "event-not-found" })],
    ["a further member of problem details", problem(EVENT, 404, { code: "event-not-found", x: 1 })],
    ["a path that is unknown", problem("/v1/nowhere", 404, {})],
    ["a method that the path does not take", { ...problem(EVENT, 405, {}), method: "PUT" }],
  ])("%s", (_, call) => {
    expect(findContradiction(call)).toBeNull();
  });
});

describe("it finds", () => {
  test.each<[string, Exchange, string]>([
    ["a status", exchange("/v1/ip", 201, {}), "a status that is not described"],
    ["a media type", exchange("/v1/ip", 200, {}, { mediaType: "text/plain" }), "as text/plain"],
    [
      "a media type of a HEAD",
      exchange("/v1/ip", 200, null, { method: "HEAD", mediaType: "text/plain" }),
      "as text/plain",
    ],
    ["a field too many", exchange("/v1/ip", 200, { public_ip: "", x: 1 }), '"x"'],
    ["a field too few", exchange("/v1/ip", 200, {}), '"public_ip"'],
    ["a value of another type", exchange("/v1/ip", 200, { public_ip: 1 }), "/public_ip"],
    ["a code of problem details", problem(EVENT, 404, { code: "x" }), "/code"],
    ["a code of ricloud", exchange("/users/1", 404, { error: "x", message: "" }), "/error"],
    ["a field of Edgegap's error", exchange("/v1/relays/sessions/x", 404, { x: 1 }), '"message"'],
    [
      "a body where none is described",
      exchange("/api-keys/1", 200, {}, { method: "DELETE" }),
      "a body where none is described",
    ],
    ["an answer at an unknown path", exchange("/v1/nowhere", 200, {}), "is not described"],
    [
      "an answer to an unknown method",
      exchange("/v1/ip", 200, {}, { method: "PUT" }),
      "PUT /v1/ip",
    ],
    [
      "a parameter that was accepted",
      exchange("/v1/events?limit=0", 200, { data: [], next_cursor: null }),
      "accepts for limit",
    ],
  ])("%s that is not described", (_, call, found) => {
    expect(findContradiction(call)).toContain(found);
  });

  test("a body that was accepted though the description forbids it", () => {
    const answer = { id: "pa-1", name: "a", created_at: "2026-11-26T08:00:00.000Z" };
    const call = exchange("/v1/applications", 201, answer, { method: "POST" });
    expect(findContradiction({ ...call, requestBody: '{"name":"a"}' })).toBeNull();
    expect(findContradiction({ ...call, requestBody: '{"nom":"a"}' })).toContain(
      "accepts as a body",
    );
    expect(findContradiction({ ...call, requestBody: "name=a" })).toContain("not JSON");
  });
});
