/**
 * `drawbridge-client`: every operation of the API, generated from `openapi.json` by `npm run build:client`.
 * `client.setConfig({ baseUrl, auth })` says where the service is, and with which key it is called.
 */

import * as generated from "./api/client/index.js";
import { client as standard } from "./api/client.gen.js";
import { keepBookmark } from "./bookmark.js";
import { checkPaths } from "./path-parameters.js";

export { createConfig } from "./api/client/index.js";
export * from "./api/index.js";

/** The client that is used where a call names no other. */
export const client: generated.Client = keepBookmark(checkPaths(standard));

/** Makes another client, for another deployment or key. */
export function createClient(config?: generated.Config): generated.Client {
  return keepBookmark(checkPaths(generated.createClient(config)));
}
