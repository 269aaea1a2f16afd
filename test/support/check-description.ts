/** Set-up of every test in workerd: it fails where a call contradicts the description of the API. */
import { afterEach, expect } from "vitest";
import { takeContradictions } from "./contradictions";

afterEach(() => {
  expect(takeContradictions().slice(0, 3)).toEqual([]);
});
