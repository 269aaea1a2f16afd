/** The operations of API keys, for operators and programs that manage keys: `docs/api-keys.md`. */
import * as z from "zod";
import { key, type OperationGroup, operation } from "../../http/operation";
import { type Call, Refused } from "../../http/request-context";
import { changeStoreOf } from "../../http/services";
import { readIntegerId } from "../../http/whole-numbers";
import { findKeyView, listKeys } from "../../keys/key-store";
import { changeKey, createKey, deleteKey } from "../../keys/manage-keys";
import { integerIdForm } from "../shared/id-forms";
import { changeKeyBody, createKeyBody, listKeysQuery, showKeyQuery } from "./bodies";
import { keyNotFound, toKeyRefusal } from "./errors";
import { apiKey, changedApiKey, newApiKey, toApiKey, toChangedApiKey, toNewApiKey } from "./wire";

/** API keys. Operations that change keys read the caller's own key from D1: see `Freshness`. */
export const apiKeys: OperationGroup = {
  name: "API keys",
  description:
    "An API key is what a program of an organisation sends with each call. Nobody can give a key what their own key does not hold. The format is that of Khomp REC.",
  page: "api-keys.md",
  operations: [
    operation({
      id: "listApiKeys",
      method: "GET",
      path: "/api-keys",
      caller: key("keys:read"),
      readsNearby: true,
      summary: "List the API keys, in the order of their ids",
      description:
        "A search by `name` may give a short or an empty page: follow the header `Link` until there is none.",
      query: listKeysQuery,
      answers: { 200: z.array(apiKey) },
      answerHeaders: {
        Link: 'The address of the next page (`rel="next"`). Absent on the last page.',
      },
      example: { query: { blocked: "false", optFields: "labels,permissions" } },
      async handle(c, { query, caller: { organisationId, organisationIds } }) {
        const { optFields, ...filter } = query;
        const now = Date.now();
        const wanted = { ...filter, organisationId, readerOrganisationIds: organisationIds };
        const { keys, next } = await listKeys(c.get("db"), wanted, now);
        const body = keys.map((one) => toApiKey(one, now, optFields));
        return { status: 200, body, headers: next === null ? {} : { Link: nextLink(c, next) } };
      },
    }),
    operation({
      id: "getApiKey",
      method: "GET",
      path: "/api-keys/{id}",
      params: { id: integerIdForm("an API key") },
      caller: key("keys:read"),
      summary: "Show an API key",
      answerTexts: { 200: "A list with one row: the `ApiKey`." },
      query: showKeyQuery,
      answers: { 200: z.array(apiKey) },
      refusals: { 404: [keyNotFound.code] },
      example: { params: { id: "999999" }, query: { optFields: "permissions" } },
      async handle(c, { params, query, caller: { organisationId, organisationIds } }) {
        const id = readIntegerId(params.id);
        const found = await findKeyView(c.get("db"), organisationId, organisationIds, id);
        if (!found) throw new Refused(keyNotFound);
        return { status: 200, body: [toApiKey(found, Date.now(), query.optFields)] };
      },
    }),
    operation({
      id: "createApiKey",
      method: "POST",
      path: "/api-keys",
      caller: key("keys:write", "fresh"),
      addsRows: true,
      summary: "Make an API key",
      description: "You have to hold every permission that you give it.",
      body: createKeyBody,
      answers: { 201: newApiKey },
      answerTexts: { 201: "The new key. Its token and its access key are shown this once." },
      refusals: {
        403: ["permission-not-held", "limit-not-held"],
        404: ["organisation-not-found"],
        409: ["dns-name-taken"],
      },
      example: {
        body: {
          name: "Game server",
          emails: [],
          organizationsIds: [1],
          permissions: ["relays:write", "relays:read"],
        },
      },
      async handle(c, { body, caller }) {
        const now = Date.now();
        const result = await createKey(changeStoreOf(c), caller, body, now);
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        if (result.token === null) throw new Error("a new key has no token");
        const shown = toNewApiKey(result.key, result.token, c.get("config").secret, now);
        return { status: 201, body: shown };
      },
    }),
    operation({
      id: "updateApiKey",
      method: "PATCH",
      path: "/api-keys/{id}",
      params: { id: integerIdForm("an API key") },
      caller: key("keys:write", "fresh"),
      summary: "Change an API key, or refresh its token",
      description:
        "What you leave out stays as it is. So does what is null, but for `dnsName` and `expiresAt`: null removes those. `blocked: true` stops the key; it may still work for up to 10 seconds.",
      body: changeKeyBody,
      answers: { 200: changedApiKey },
      answerTexts: { 200: "The key as it is now. A new token and access key are shown this once." },
      refusals: {
        403: [
          "permission-not-held",
          "limit-not-held",
          "key-holds-more",
          "own-limits",
          "shared-key",
        ],
        404: [keyNotFound.code, "organisation-not-found"],
        409: ["dns-name-taken", "too-many-graces"],
      },
      example: { params: { id: "999999" }, body: { name: "Game server 2", labels: ["eu"] } },
      async handle(c, { params, body: change, caller }) {
        const now = Date.now();
        const id = readIntegerId(params.id);
        const result = await changeKey(changeStoreOf(c), caller, { id, change }, now);
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        const shown =
          result.token === null
            ? toChangedApiKey(result.key, now)
            : toNewApiKey(result.key, result.token, c.get("config").secret, now);
        return { status: 200, body: shown };
      },
    }),
    operation({
      id: "deleteApiKey",
      method: "DELETE",
      path: "/api-keys/{id}",
      params: { id: integerIdForm("an API key") },
      caller: key("keys:write", "fresh"),
      summary: "Delete an API key",
      description:
        "It may still work for up to 10 seconds. A key that also acts in organisations in which you do not act is only taken out of yours.",
      answers: { 200: null },
      refusals: { 404: [keyNotFound.code] },
      example: { params: { id: "999999" } },
      async handle(c, { params, caller }) {
        const result = await deleteKey(
          changeStoreOf(c),
          caller,
          readIntegerId(params.id),
          Date.now(),
        );
        if (!result.ok) throw new Refused(toKeyRefusal(result.refusal));
        return { status: 200 };
      },
    }),
  ],
};

/**
 * The link to the next page of the same list. It never holds a token: a list filtered by a whole token has
 * at most one key, so it has no next page.
 */
function nextLink(c: Call, after: number): string {
  const url = new URL(c.req.url);
  url.searchParams.set("after", String(after));
  return `<${url.href}>; rel="next"`;
}
