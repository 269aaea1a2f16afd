/** `drawbridge-client`: every operation of the API, generated from `openapi.json` by `npm run build:client`. */
export * from "./api/index.js";
