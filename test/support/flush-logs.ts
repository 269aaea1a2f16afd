/**
 * Set-up of every test in workerd: a file whose tests are over ends, also when something is logged then.
 *
 * The runner of the tests waits until each line of the log has reached Vitest. A line that is logged elsewhere,
 * in a queue's consumer or an object, waits in the runner until the runner sends something of its own
 * (`pendingConsoleLogs` in @cloudflare/vitest-plugin, November 2026). After the last test it has nothing to
 * send, and both wait for ever.
 */
import { afterAll } from "vitest";

// Tests may have put their own timers in its place.
const repeat = setInterval;

afterAll(() => {
  repeat(() => console.debug(""), 200);
});
