/** The routes of API keys, for operators and programs that manage keys: `docs/api-keys.md`. */
import type { Hono } from "hono";
import { readBody, readQuery } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { findKeyView, listKeys } from "../../keys/key-store";
import { changeKey, createKey, deleteKey } from "../../keys/manage-keys";
import { keyNotFound, toKeyRefusal } from "./errors";
import {
  changeKeyBody,
  createKeyBody,
  listKeysQuery,
  showKeyQuery,
  toApiKey,
  toChangedApiKey,
  toNewApiKey,
} from "./wire";

/**
 * Adds the surface to the app. Routes that change keys read the caller's own key from D1: see
 * `Freshness`.
 */
export function apiKeyRoutes(app: Hono<AppEnv>): void {
  readingRoutes(app);
  writingRoutes(app);
}

function readingRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/api-keys",
    keyRoute("keys:read", async (c, { organisationId, organisationIds }) => {
      const { optFields, ...query } = readQuery(c, listKeysQuery);
      const now = Date.now();
      const wanted = { ...query, organisationId, readerOrganisationIds: organisationIds };
      const page = await listKeys(c.var.db, wanted, now);
      if (page.next !== null) c.header("Link", nextLink(c, page.next));
      return c.json(page.keys.map((key) => toApiKey(key, now, optFields)));
    }),
  );

  app.get(
    "/api-keys/:id",
    keyRoute("keys:read", async (c, { organisationId, organisationIds }) => {
      const { optFields } = readQuery(c, showKeyQuery);
      const key = await findKeyView(c.var.db, organisationId, organisationIds, readId(c));
      if (!key) throw new Refused(keyNotFound);
      return c.json([toApiKey(key, Date.now(), optFields)]);
    }),
  );
}

function writingRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/api-keys",
    keyRoute(
      "keys:write",
      async (c, caller) => {
        const input = await readBody(c, createKeyBody);
        const now = Date.now();
        const result = await createKey(c.var, caller, input, now);
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        if (result.token === null) throw new Error("a new key has no token");
        return c.json(toNewApiKey(result.key, result.token, c.var.config.secret, now), 201);
      },
      "fresh",
    ),
  );

  app.patch(
    "/api-keys/:id",
    keyRoute(
      "keys:write",
      async (c, caller) => {
        const change = await readBody(c, changeKeyBody);
        const now = Date.now();
        const result = await changeKey(c.var, caller, { id: readId(c), change }, now);
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        const { key, token } = result;
        const { secret } = c.var.config;
        const isRefreshed = token !== null;
        return c.json(
          isRefreshed ? toNewApiKey(key, token, secret, now) : toChangedApiKey(key, now),
        );
      },
      "fresh",
    ),
  );

  app.delete(
    "/api-keys/:id",
    keyRoute(
      "keys:write",
      async (c, caller) => {
        const result = await deleteKey(c.var, caller, readId(c), Date.now());
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        return c.body(null, 200);
      },
      "fresh",
    ),
  );
}

/** The id in the path. Ids are numbers: there is no key with an id of another form. */
function readId(c: Call): number {
  const id = c.req.param("id") ?? "";
  if (!/^[0-9]{1,15}$/.test(id)) throw new Refused(keyNotFound);
  return Number(id);
}

/**
 * The link to the next page of the same list. It never holds a token: a list filtered by a whole token has
 * at most one key, so it has no next page.
 */
function nextLink(c: Call, after: number): string {
  const url = new URL(c.req.url);
  url.searchParams.set("after", String(after));
  return `<${url.href}>; rel="next"`;
}
