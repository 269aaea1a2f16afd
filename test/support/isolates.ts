/**
 * A second isolate of the Worker: the same code loaded once more, with caches of its own, on the
 * same D1. What one isolate remembers, the other has to read.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { type Answer, ORIGIN } from "./client";

/** The `call` of another isolate; it takes other bindings where a test asks for them. */
export async function otherIsolate(overrides: Partial<Env> = {}) {
  vi.resetModules();
  const { createApp } = await import("../../src/app");
  // This copy is only ours: everything loaded from now on is a new copy, the first Worker too.
  vi.resetModules();
  const app = createApp();
  const bindings = { ...env, ...overrides };
  return async (
    method: string,
    path: string,
    options: { key?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> => {
    const headers = new Headers(options.headers);
    if (options.key !== undefined) headers.set("Authorization", `token ${options.key}`);
    const body = options.body === undefined ? {} : { body: JSON.stringify(options.body) };
    const ctx = createExecutionContext();
    const request = new Request(`${ORIGIN}${path}`, { method, headers, ...body });
    const response = await app.fetch(request, bindings, ctx);
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text.startsWith("{") || text.startsWith("[") ? JSON.parse(text) : undefined,
    };
  };
}
