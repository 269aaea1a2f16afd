import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [
    cloudflareTest(async ({ inject }) => ({
      wrangler: { configPath: "./wrangler.toml" },
      miniflare: {
        bindings: {
          TEST_RECEIVER_URL: inject("receiverUrl"),
          DRAWBRIDGE_SECRET: "test-secret-0123456789-0123456789-0123456789",
          DRAWBRIDGE_ROOT_TOKEN: "test-root-token-0123456789-0123456789-01",
          ALLOW_INSECURE_WEBHOOKS: "1",
          // The whole schedule in seconds instead of days; the pure rules have tests of their own.
          WEBHOOK_RETRY_SECONDS: "1,1,1",
          TEST_MIGRATIONS: await readD1Migrations("./migrations"),
        },
      },
    })),
  ],
  test: {
    globalSetup: ["./test/support/receiver-server.ts"],
    setupFiles: ["./test/support/migrate.ts"],
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
  },
});
