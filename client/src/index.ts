/**
 * `drawbridge-client`: every operation of the API, generated from `openapi.json` by `npm run build:client`.
 * `client.setConfig({ baseUrl, auth })` says where the service is, and with which key it is called.
 */

export { createClient, createConfig } from "./api/client/index.js";
export { client } from "./api/client.gen.js";
export * from "./api/index.js";
