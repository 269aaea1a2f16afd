/** API keys over HTTP, for operators and automation: `contracts/api-keys.md`. */
import type { Hono } from "hono";
import { readBody, readQuery } from "../../http/body";
import { keyed } from "../../http/guarded-routes";
import { type AppEnv, type Call, Refused } from "../../http/request-context";
import { findKeyView, listKeys } from "../../keys/key-store";
import { changeKey, createKey, deleteKey } from "../../keys/manage-keys";
import { keyNotFound, toHttpRefusal } from "./errors";
import {
  changeBody,
  createBody,
  listQuery,
  toApiKey,
  toChangedApiKey,
  toNewApiKey,
  viewQuery,
} from "./wire";

/** Adds the surface to the app. What changes keys reads the caller's own anew: see `Freshness`. */
export function apiKeyRoutes(app: Hono<AppEnv>): void {
  app.get(
    "/api-keys",
    keyed("keys:read", async (c, { organisationId, organisationIds }) => {
      const { optFields, ...query } = readQuery(c, listQuery);
      const now = Date.now();
      const wanted = { ...query, organisationId, readerOrganisationIds: organisationIds };
      const page = await listKeys(c.var.db, wanted, now);
      if (page.next !== null) c.header("Link", nextLink(c, page.next));
      return c.json(page.keys.map((key) => toApiKey(key, now, optFields)));
    }),
  );

  app.get(
    "/api-keys/:id",
    keyed("keys:read", async (c, { organisationId, organisationIds }) => {
      const { optFields } = readQuery(c, viewQuery);
      const key = await findKeyView(c.var.db, organisationId, organisationIds, readId(c));
      if (!key) throw new Refused(keyNotFound);
      return c.json([toApiKey(key, Date.now(), optFields)]);
    }),
  );

  app.post(
    "/api-keys",
    keyed(
      "keys:write",
      async (c, caller) => {
        const input = await readBody(c, createBody);
        const now = Date.now();
        const result = await createKey(c.var, caller, input, now);
        if (!result.ok) throw new Refused(toHttpRefusal(result.refusal));
        if (result.token === null) throw new Error("a new key has no token");
        return c.json(toNewApiKey(result.key, result.token, c.var.config.secret, now), 201);
      },
      "fresh",
    ),
  );

  app.patch(
    "/api-keys/:id",
    keyed(
      "keys:write",
      async (c, caller) => {
        const change = await readBody(c, changeBody);
        const now = Date.now();
        const result = await changeKey(c.var, caller, { id: readId(c), change }, now);
        if (!result.ok) throw new Refused(toHttpRefusal(result.refusal));
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
    keyed(
      "keys:write",
      async (c, caller) => {
        const result = await deleteKey(c.var, caller, readId(c), Date.now());
        if (!result.ok) throw new Refused(toHttpRefusal(result.refusal));
        return c.body(null, 200);
      },
      "fresh",
    ),
  );
}

/** Ids are numbers: of what is none, there is no key. */
function readId(c: Call): number {
  const id = c.req.param("id") ?? "";
  if (!/^[0-9]{1,15}$/.test(id)) throw new Refused(keyNotFound);
  return Number(id);
}

/** The next page of the same list. A list by a whole token has one key at most: no link shows a token. */
function nextLink(c: Call, after: number): string {
  const url = new URL(c.req.url);
  url.searchParams.set("after", String(after));
  return `<${url.href}>; rel="next"`;
}
