/** What SIGTERM and SIGINT do to a relay node. */
import { expect, test } from "vitest";
import { signalHandler } from "../../relay-node/signals";

test.each([
  ["one drains", [5], ["drain"]],
  ["a second one within two seconds is the same", [5, 5, 1_000, 2_004], ["drain"]],
  ["a second one two seconds later ends the node", [5, 2_005], ["drain", "stop"]],
  ["what counts is the time since the first", [5, 1_500, 2_500], ["drain", "stop"]],
])("of its signals, %s", (_what, times, done) => {
  let now = 0;
  const calls: string[] = [];
  const signalled = signalHandler(
    {
      drain: () => calls.push("drain"),
      stop: async () => {
        calls.push("stop");
        return { type: "stopped" };
      },
    },
    () => now,
  );
  for (const time of times) {
    now = time;
    signalled();
  }
  expect(calls).toEqual(done);
});
