/** What the console says of an attempt. */
import { expect, test } from "vitest";
import { attemptWords, hasArrived } from "../../console/src/pages/webhooks/attempt-words";

const attempt = (status: number | null) => ({
  at: "2026-11-26T08:00:00.000Z",
  duration_ms: 5,
  status_code: status,
  response: status === null ? null : "",
  error: status === null ? "no answer within 15 s" : null,
});

test.each<[status: number | null, arrived: boolean, words: string]>([
  [200, true, "It arrived."],
  [299, true, "It arrived."],
  [302, false, "A redirect. They are not followed."],
  [400, false, "The receiver did not take it."],
  [410, false, "The receiver wants nothing more. After a delivery, this disables the endpoint."],
  [429, false, "The receiver is asked too often."],
  [500, false, "The receiver has failed."],
  [null, false, "No answer came."],
])("the status %s: arrived is %s, and it says %s", (status, arrived, words) => {
  expect(hasArrived(attempt(status))).toBe(arrived);
  expect(attemptWords(attempt(status))).toBe(words);
});
