/** Generates the functions and types of all operations. It stands here, where its generator is installed. */
import { createClient } from "@hey-api/openapi-ts";

/**
 * @param {string} document the path of openapi.json
 * @param {string} folder where the TypeScript goes. What is there is replaced
 */
export async function generateApi(document, folder) {
  await createClient({
    input: document,
    output: { path: folder, module: { extension: ".js" } },
    plugins: ["@hey-api/client-fetch", "@hey-api/sdk", "@hey-api/typescript"],
    logs: { level: "silent" },
  });
}
