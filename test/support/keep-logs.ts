/**
 * Set-up of every test in workerd: what is logged is kept beside the test, and goes to Vitest only if the test
 * fails. On its way there each line is a message to Node, which cost a tenth of the CPU of all tests.
 */
import { env } from "cloudflare:workers";
import { afterAll, beforeEach, onTestFailed, onTestFinished, type RunnerTestSuite } from "vitest";

const write = console.log;
let lines: unknown[][] = [];
/** The file, once a test of it has begun. */
let begun: RunnerTestSuite | null = null;

/** Those since the test before: what prepared this one is among them. */
function show() {
  for (const line of lines) write(...line);
  lines = [];
}

if (env.TEST_LOGS !== "all") {
  console.log = (...line) => void lines.push(line);

  beforeEach(({ task: { file } }) => {
    begun = file;
    onTestFailed(show);
    // They run before those of a failure.
    onTestFinished(({ task }) => {
      if (task.result?.state !== "fail" && !hasFailedSuite(file)) lines = [];
    });
  });

  // Where what several tests share has failed, before or after them, no test shows its lines.
  afterAll(() => {
    if (begun === null || hasFailedSuite(begun)) show();
  });
}

function hasFailedSuite({ result, tasks }: RunnerTestSuite): boolean {
  return (
    result?.state === "fail" || tasks.some((task) => task.type === "suite" && hasFailedSuite(task))
  );
}
