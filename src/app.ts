/**
 * The HTTP side of Drawbridge: what every request passes through, and the list of all surfaces with
 * their routes. Called by `worker.ts`.
 */
import { Hono, type Next } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { openDatabase } from "./db/open";
import { ChangedMeanwhile } from "./db/retry";
import { openOutbox } from "./devices/event-outbox";
import { crossOrigin } from "./http/cors";
import { noteChange } from "./http/d1-bookmark";
import { mount, operationsByPath } from "./http/mount";
import type { Operation } from "./http/operation";
import {
  type AppEnv,
  type Call,
  type HttpRefusal,
  Refused,
  type Surface,
} from "./http/request-context";
import { ConfigError, readConfig } from "./platform/config";
import { describeError, isDatabaseError, log } from "./platform/log";
import { UnavailableError } from "./platform/unavailable";
import { SessionClient } from "./session/session-client";
import { OPERATIONS, ownSurface, SURFACES } from "./surfaces/all";
import { homePage } from "./surfaces/home-page";

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** The surface that words the errors at this path, even if no route matches. */
function surfaceAt(path: string): Surface {
  return SURFACES.find(([surface]) => surface.owns(path))?.[0] ?? ownSurface;
}

/**
 * Builds the app. Hono's trie router matches the routes, because its other routers read `sessions:verb` as
 * a parameter. A slash at the end of a path makes no difference: `c.req.path` comes without it, the URL as
 * it was sent.
 */
export function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ router: new TrieRouter(), strict: false });

  app.use(async (c, next) => {
    // When a caller hangs up, the platform stops all work that was not given to waitUntil. A request that
    // has begun is finished even then, so that what it did is stored and its events are recorded.
    // It begins after that call.
    const work = Promise.resolve().then(() => answer(c, next));
    c.executionCtx.waitUntil(work);
    await work;
  });
  const operationsAt = operationsByPath(OPERATIONS);
  app.use(crossOrigin(operationsAt));
  app.use(async (c, next) => {
    c.set("config", readConfig(c.env));
    const db = openDatabase(c.env);
    c.set("db", db);
    c.set("events", openOutbox(c.env, c.executionCtx, db));
    c.set("sessions", new SessionClient(c.env, c.executionCtx));
    await next();
  });

  app.use("/", homePage);
  mount(app, OPERATIONS);

  app.notFound((c) => {
    const allowed = methodsOf(operationsAt(c.req.path));
    if (allowed.length === 0) return c.var.surface.refuse(c as Call, unknownPath);
    if (c.req.method === "OPTIONS") return c.body(null, 204, { Allow: allowed.join(", ") });
    return c.var.surface.refuse(c as Call, wrongMethod(allowed));
  });
  app.onError((error, c) => {
    const refusal = toRefusal(error);
    if (refusal.status >= 500) {
      log("request failed", { request_id: c.var.requestId, error: describeError(error) });
    }
    return c.var.surface.refuse(c as Call, refusal);
  });
  return app;
}

/** Gives a request its id and its surface, answers it, and logs it. */
async function answer(c: Call, next: Next): Promise<void> {
  const startedAt = Date.now();
  const sent = c.req.header("X-Request-Id");
  c.set("requestId", sent && REQUEST_ID.test(sent) ? sent : crypto.randomUUID());
  c.set("surface", surfaceAt(c.req.path));
  c.set("route", null);
  c.set("caller", null);
  c.set("bodyBytes", null);
  await next();
  // The headers of a websocket's answer cannot be changed.
  if (c.res.status !== 101) {
    c.res.headers.set("X-Request-Id", c.var.requestId);
    // Most answers show a secret, or data of one organisation: no cache may keep them.
    c.res.headers.set("Cache-Control", "no-store");
    noteChange(c);
  }
  logRequest(c, startedAt);
}

/** The methods that a path takes, for OPTIONS and for the answer 405: Hono answers 404 for a wrong one too. */
function methodsOf(operations: readonly Operation[]): string[] {
  const methods = new Set<string>(operations.map(({ method }) => method));
  if (methods.has("GET")) methods.add("HEAD");
  return methods.size === 0 ? [] : [...methods, "OPTIONS"];
}

function wrongMethod(allowed: string[]): HttpRefusal {
  return {
    status: 405,
    code: "method-not-allowed",
    message: `This path takes ${allowed.join(", ")}.`,
    headers: { Allow: allowed.join(", ") },
  };
}

const unknownPath: HttpRefusal = {
  status: 404,
  code: "unknown-path",
  message: "There is nothing at this path.",
};

function toRefusal(error: Error): HttpRefusal {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof ConfigError) {
    return { status: 503, code: "not-configured", message: error.message };
  }
  if (error instanceof ChangedMeanwhile) {
    return {
      status: 503,
      code: "changed-meanwhile",
      message:
        "Others kept changing this at the same moment, and nothing of yours was stored. Try again shortly.",
      headers: { "Retry-After": "1" },
    };
  }
  if (error instanceof UnavailableError || isDatabaseError(error)) {
    const seconds = error instanceof UnavailableError ? error.retryAfterSeconds : 2;
    return {
      status: 503,
      code: "unavailable",
      message: "Something that Drawbridge stands on is not reachable. Try again shortly.",
      headers: { "Retry-After": String(seconds) },
    };
  }
  return {
    status: 500,
    code: "internal-error",
    message: "Something went wrong on our side. Tell us the X-Request-Id.",
  };
}

/**
 * Logs one line for a request. It has the path template and not the URL, whose query may hold a
 * websocket's tokens.
 */
function logRequest(c: Call, startedAt: number): void {
  log("request", {
    request_id: c.var.requestId,
    organisation: c.var.caller?.organisationId ?? null,
    surface: c.var.surface.name,
    method: c.req.method,
    route: c.var.route,
    status: c.res.status,
    duration_ms: Date.now() - startedAt,
  });
}
