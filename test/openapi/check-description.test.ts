/** The comparison with `openapi.json` is at work in the tests: what it finds in a call fails the test. */
import { expect, onTestFinished, test } from "vitest";
import document from "../../openapi.json";
import { call } from "../support/client";
import { takeContradictions } from "../support/contradictions";

test("a call that is answered other than described is noted", async () => {
  const responses: Record<string, object> = document.paths["/v1/ip"].get.responses;
  const { 200: described, ...others } = responses;
  document.paths["/v1/ip"].get.responses =
    others as (typeof document.paths)["/v1/ip"]["get"]["responses"];
  onTestFinished(() => {
    Object.assign(document.paths["/v1/ip"].get, { responses });
  });
  await call("GET", "/v1/ip");
  expect(described).toBeDefined();
  expect(takeContradictions()).toEqual([expect.stringContaining("getIp, which answered 200")]);
});

test("a call that is answered as described is not", async () => {
  await call("GET", "/v1/ip");
  expect(takeContradictions()).toEqual([]);
});
