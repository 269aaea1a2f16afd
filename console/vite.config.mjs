/** How Vite builds the console. `npx vite console` serves it alone, for work on it, against `npm start`. */
import { defineConfig } from "vite";

/** Where `npm start` answers. */
const SERVICE = "http://localhost:8787";

export default defineConfig({
  base: "/console/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    // The Content-Security-Policy allows no script in the page, and no data: but images.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    host: "127.0.0.1",
    proxy: {
      // What is not the console's own source is the service's.
      "^/(?!console/)": { target: SERVICE, ws: true },
    },
  },
  logLevel: "warn",
});
