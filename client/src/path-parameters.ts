/**
 * A call that lacks a parameter of its path throws, where the generated client would send `{id}` as it is. So does
 * one whose parameter is `.` or `..`: these are steps in a path, and the call would be another one.
 */
import type { Client } from "./api/client/index.js";

class PathError extends TypeError {
  override name = "TypeError";
}

/** Makes this client throw a TypeError that names the parameter, with or without `throwOnError`. */
export function checkPaths(client: Client): Client {
  client.setConfig({
    requestValidator: async (call) => {
      const { url, path = {} } = call as { url: string; path?: Record<string, unknown> };
      for (const [, name = ""] of url.matchAll(/\{([^{}]+)\}/g)) {
        if ([".", ".."].includes(String(path[name]))) {
          throw new PathError(`${url}: ${name} is "${path[name]}", which is not sent in a path.`);
        }
        if (path[name] !== undefined && path[name] !== null && path[name] !== "") continue;
        const given = Object.keys(path).join(", ") || "nothing";
        throw new PathError(`${url} needs path: { ${name} }. There is ${given} in path.`);
      }
    },
  });
  // What is wrong before a call is made would be given back as its `error`.
  client.interceptors.error.use((error) => {
    if (error instanceof PathError) throw error;
    return error;
  });
  return client;
}
