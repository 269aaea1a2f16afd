/** What vitest.config.ts adds to the Worker's bindings. */
declare namespace Cloudflare {
  interface Env {
    TEST_MIGRATIONS: import("cloudflare:test").D1Migration[];
    TEST_RECEIVER_URL: string;
    /** `all`: what is logged is shown for tests that pass, too. */
    TEST_LOGS: string;
  }
  interface GlobalProps {
    mainModule: typeof import("../../src/worker");
  }
}

/** A file as text. */
declare module "*?raw" {
  const text: string;
  export default text;
}
