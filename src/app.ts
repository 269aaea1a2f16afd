/**
 * The HTTP side of Drawbridge: what every request passes through, and the list of all surfaces with
 * their routes. Called by `worker.ts`.
 */
import { Hono } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { openDatabase } from "./db/open";
import { ChangedMeanwhile } from "./db/retry";
import { EventOutbox } from "./events/event-outbox";
import { problemSurface } from "./http/problem-details";
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
import { keySurface } from "./surfaces/api-keys/errors";
import { apiKeyRoutes } from "./surfaces/api-keys/routes";
import { homePage } from "./surfaces/home-page";
import { rpcSurface } from "./surfaces/polarclaw/errors";
import { rpcRoutes } from "./surfaces/polarclaw/rpc";
import { permissionSurface } from "./surfaces/relay-permissions/errors";
import { relayPermissionRoutes } from "./surfaces/relay-permissions/routes";
import { relaySurface } from "./surfaces/relay-sessions/errors";
import { relaySessionRoutes } from "./surfaces/relay-sessions/routes";
import { sourceSurface } from "./surfaces/source-sessions/errors";
import { sourceSessionRoutes } from "./surfaces/source-sessions/routes";
import { applicationRoutes } from "./surfaces/v1/applications";
import { connectorRoutes } from "./surfaces/v1/connectors";
import { deviceRoutes } from "./surfaces/v1/devices";
import { eventRoutes } from "./surfaces/v1/events";
import { healthAndIpRoutes } from "./surfaces/v1/health-and-ip";
import { keyVerificationRoutes } from "./surfaces/v1/key-verification";
import { organisationRoutes } from "./surfaces/v1/organisations";
import { pairingByDeviceRoutes } from "./surfaces/v1/pairing-by-devices";
import { pairingRequestRoutes } from "./surfaces/v1/pairing-requests";
import { relayPermissionCheckRoutes } from "./surfaces/v1/relay-permissions";
import { sessionActionRoutes } from "./surfaces/v1/session-actions";
import { sessionTokenRoutes } from "./surfaces/v1/session-tokens";
import { webhookDeliveryRoutes } from "./surfaces/v1/webhook-deliveries";
import { webhookEndpointRoutes } from "./surfaces/v1/webhook-endpoints";

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

type Routes = (app: Hono<AppEnv>) => void;

const ownSurface = problemSurface("v1", () => true);

/** Every surface with its routes. The first that owns a path words its errors; `/v1` owns the rest. */
const SURFACES: readonly (readonly [Surface, ...Routes[]])[] = [
  [relaySurface, relaySessionRoutes],
  [permissionSurface, relayPermissionRoutes],
  [keySurface, apiKeyRoutes],
  [sourceSurface, sourceSessionRoutes],
  [rpcSurface, rpcRoutes],
  [
    ownSurface,
    healthAndIpRoutes,
    organisationRoutes,
    sessionTokenRoutes,
    keyVerificationRoutes,
    relayPermissionCheckRoutes,
    connectorRoutes,
    sessionActionRoutes,
    webhookEndpointRoutes,
    webhookDeliveryRoutes,
    eventRoutes,
    pairingByDeviceRoutes,
    applicationRoutes,
    pairingRequestRoutes,
    deviceRoutes,
  ],
];

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
    // has begun is finished even then, so that what it did is recorded and its events are sent.
    const work = Promise.resolve().then(next);
    c.executionCtx.waitUntil(work);
    await work;
  });
  app.use(async (c, next) => {
    const startedAt = Date.now();
    const sent = c.req.header("X-Request-Id");
    c.set("requestId", sent && REQUEST_ID.test(sent) ? sent : crypto.randomUUID());
    c.set("surface", surfaceAt(c.req.path));
    c.set("caller", null);
    c.set("bodyBytes", null);
    await next();
    // The headers of a websocket's answer cannot be changed.
    if (c.res.status !== 101) {
      c.res.headers.set("X-Request-Id", c.var.requestId);
      // Most answers show a secret, or data of one organisation: no cache may keep them.
      c.res.headers.set("Cache-Control", "no-store");
    }
    logRequest(c, startedAt);
  });
  app.use(async (c, next) => {
    c.set("config", readConfig(c.env));
    const db = openDatabase(c.env);
    c.set("db", db);
    c.set("events", new EventOutbox(db, c.env.EVENTS, c.executionCtx));
    c.set("sessions", new SessionClient(c.env, c.executionCtx));
    await next();
  });

  app.use("/", homePage);
  for (const [, ...routes] of SURFACES) for (const add of routes) add(app);

  const methodsAt = routeMethods(app);
  app.notFound((c) => {
    const allowed = methodsAt(c.req.path);
    return c.var.surface.refuse(c as Call, allowed.length > 0 ? wrongMethod(allowed) : unknownPath);
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

/**
 * Finds the methods of a path, for the answer 405. It needs a router of its own: Hono answers 404 for a
 * wrong method too.
 */
function routeMethods(app: Hono<AppEnv>): (path: string) => string[] {
  const router = new TrieRouter<string>();
  for (const { method, path } of app.routes) if (method !== "ALL") router.add("ANY", path, method);
  return (path) => [...new Set(router.match("ANY", path)[0].map(([method]) => method))];
}

function wrongMethod(allowed: string[]): HttpRefusal {
  const methods = allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
  return {
    status: 405,
    code: "method-not-allowed",
    message: `This path takes ${methods.join(", ")}.`,
    headers: { Allow: methods.join(", ") },
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
 * Logs one line for a request. It has the route's pattern and not the URL, whose query may hold a
 * websocket's tokens.
 */
function logRequest(c: Call, startedAt: number): void {
  log("request", {
    request_id: c.var.requestId,
    organisation: c.var.caller?.organisationId ?? null,
    surface: c.var.surface.name,
    method: c.req.method,
    route: matchedRoute(c),
    status: c.res.status,
    duration_ms: Date.now() - startedAt,
  });
}

function matchedRoute(c: Call): string | null {
  return c.req.matchedRoutes.findLast((route) => route.method !== "ALL")?.path ?? null;
}
