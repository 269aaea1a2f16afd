/**
 * Set-up of every test in workerd: what is logged is kept beside the test, and goes to Vitest only if the test
 * fails. On its way there each line is a message to Node, which cost a tenth of the CPU of all tests.
 */
import { env } from "cloudflare:workers";
import { afterAll, beforeEach, onTestFailed, onTestFinished } from "vitest";

const write = console.log;
let lines: unknown[][] = [];
let anyTestRan = false;

/** Those since the test before: what prepared this one is among them. */
function show() {
  for (const line of lines) write(...line);
  lines = [];
}

if (env.TEST_LOGS !== "all") {
  console.log = (...line) => void lines.push(line);

  beforeEach(() => {
    anyTestRan = true;
    onTestFailed(show);
    // They run before those of a failure.
    onTestFinished(({ task }) => {
      if (task.result?.state !== "fail") lines = [];
    });
  });

  // The preparation of all tests has failed.
  afterAll(() => {
    if (!anyTestRan) show();
  });
}
