/** What vitest.config.ts adds to the Worker's bindings. */
declare namespace Cloudflare {
  interface Env {
    DRAWBRIDGE_SECRET: string;
    DRAWBRIDGE_ROOT_TOKEN: string;
    TEST_MIGRATIONS: import("cloudflare:test").D1Migration[];
    TEST_RECEIVER_URL: string;
  }
  interface GlobalProps {
    mainModule: typeof import("../../src/worker");
  }
}
