import { existsSync, statfsSync } from "node:fs";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { buildPages } from "./scripts/build-pages.mjs";
import { LIMIT_MS } from "./test/support/eventually";

// Each commit in a test's D1 or object waits for the disk, and costs its kernel CPU: memory is a disk that
// does not. Linux has it; elsewhere, or where it is small as in a container, the usual folder serves.
const MEMORY = "/dev/shm";
if (
  !process.env.TMPDIR &&
  existsSync(MEMORY) &&
  statfsSync(MEMORY).bavail * statfsSync(MEMORY).bsize > 2 ** 30
) {
  process.env.TMPDIR = MEMORY;
}

// The plugin serves them as wrangler.toml says, but does not run the build that wrangler.toml names.
// It makes the client too, which the tests import.
await buildPages();

const secrets = {
  DRAWBRIDGE_SECRET: "test-secret-0123456789-0123456789-0123456789",
  DRAWBRIDGE_ROOT_TOKEN: "test-root-token-0123456789-0123456789-01",
};

/** Tests of pure rules, and of the repository itself: in Node, since they need nothing of the platform. */
const UNIT = "test/**/*.unit.test.ts";
/** Tests that are clients of their own, in Node, against the Worker as `wrangler dev` runs it. */
const FROM_NODE = "test/**/*.node.test.ts";
/** Tests that see the pages in Chromium: `npm run test:browser`. `npm test` leaves them out. */
const BROWSER = "test/**/*.browser.test.ts";

/** What the Worker and its tests import of other packages. One that is missing here only costs time. */
const PACKAGES = [
  "@cfworker/json-schema",
  "drizzle-orm",
  "drizzle-orm/batch",
  "drizzle-orm/d1",
  "drizzle-orm/sqlite-core",
  "fast-check",
  "hono",
  "hono/accepts",
  "hono/router",
  "ipaddr.js",
  "jose",
  "standardwebhooks",
  "zod",
];

/**
 * The packages and JSON go to workerd without their source maps: each test file starts a workerd of its own,
 * and everything that it imports is sent to it again. Nobody reads a stack trace of theirs.
 */
const smallModules = {
  name: "small-modules",
  enforce: "post" as const,
  transform: (code: string, id: string) =>
    /\/node_modules\/|\.json$/.test(id) ? { code, map: { mappings: "" as const } } : null,
};

export default defineConfig({
  test: {
    // By default one core is left idle: of two, half.
    maxWorkers: "100%",
    // The Worker writes a line for each request here (LOG_REQUESTS): shown only for tests that fail.
    silent: "passed-only",
    projects: [
      // As below: five seconds, which is the default, are too short beside a process that takes a core.
      { test: { name: "unit", include: [UNIT], testTimeout: 120_000 } },
      {
        // openapi.json as one string, without an export for each of its members.
        json: { stringify: true, namedExports: false },
        plugins: [
          smallModules,
          cloudflareTest(async ({ inject }) => ({
            wrangler: { configPath: "./wrangler.toml" },
            main: "./test/support/checked-worker.ts",
            miniflare: {
              bindings: {
                ...secrets,
                TEST_RECEIVER_URL: inject("receiverUrl"),
                ALLOW_INSECURE_WEBHOOKS: "1",
                // A test that fails shows what was asked.
                LOG_REQUESTS: "all",
                TEST_LOGS: process.env.TEST_LOGS ?? "failed",
                // The whole schedule in seconds instead of days; the pure rules have tests of their own.
                WEBHOOK_RETRY_SECONDS: "1,1,1",
                TEST_MIGRATIONS: await readD1Migrations("./migrations"),
              },
            },
          })),
        ],
        test: {
          name: "worker",
          // Each package as one module, made once: else each file's workerd is sent hundreds of small ones.
          deps: { optimizer: { ssr: { enabled: true, include: PACKAGES } } },
          globalSetup: ["./test/support/receiver-server.ts"],
          setupFiles: [
            "./test/support/flush-logs.ts",
            "./test/support/keep-logs.ts",
            "./test/support/migrate.ts",
            "./test/support/check-description.ts",
          ],
          include: ["test/**/*.test.ts"],
          exclude: [FROM_NODE, UNIT, BROWSER],
          // No test relies on how long it takes: this is for one that would never end.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "node",
          env: secrets,
          include: [FROM_NODE],
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: "browser",
          env: secrets,
          include: [BROWSER],
          // As long as a page waits for what must appear: one second, which is the default, is too short.
          expect: { poll: { timeout: LIMIT_MS } },
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
