/** The operations of users and their sources: `docs/source-sessions.md`. */
import * as z from "zod";
import { key, type OperationGroup, operation } from "../../http/operation";
import { Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { SOURCE_STATES } from "../../sources/source";
import {
  findOrMakeSource,
  findSources,
  listSources,
  setSourceState,
} from "../../sources/source-store";
import { findOrMakeUser, findUser, listUsers, renameUser } from "../../sources/user-store";
import { integerIdForm } from "../shared/id-forms";
import { identifier, identifierQuery, sourceSpec } from "./bodies";
import { invalidParameter, notFound } from "./errors";
import { listOf, toList } from "./lists";
import { integerId, LISTS, listQuery } from "./queries";
import { source, toSource, toUser, user } from "./wire";

const userBody = z.object({ identifier });
const userChange = z.object({
  identifier: identifier
    .optional()
    .meta({ description: "The new one. Left out: it stays as it is." }),
});
const sourceChange = z.object({
  state: z
    .enum(["active", "deactivated"], "must be active or deactivated")
    .optional()
    .meta({ description: "Left out: it stays as it is." }),
});

const usersQuery = listQuery({
  filters: { identifier: identifierQuery.optional() },
  dates: {},
  id: integerId,
});
const sourcesQuery = listQuery({
  filters: {
    user: integerId.optional().meta({ description: "Only of the user with this id." }),
    identifier: identifierQuery.optional(),
    type: z.string().optional().meta({ description: "Only of this type." }),
    state: z
      .enum(SOURCE_STATES, `must be one of ${SOURCE_STATES.join(", ")}`)
      .optional()
      .meta({ description: "Only in this state." }),
  },
  dates: {},
  id: integerId,
});

/** Users, and the accounts that they have at third parties' services. */
export const usersAndSources: OperationGroup = {
  name: "Users and sources",
  description:
    "Your users, and their sources: accounts at third parties' services. The format is that of ricloud.",
  page: "source-sessions.md",
  operations: [
    operation({
      id: "createUser",
      method: "POST",
      path: "/users",
      caller: key("sessions:write"),
      addsRows: true,
      summary: "Find or make the user with an identifier",
      body: userBody,
      description: "The same call twice gives the same user.",
      answers: { 201: user },
      answerTexts: { 201: "The user. It is new, or had this identifier before." },
      example: { body: { identifier: "customer-17" } },
      async handle(c, { body, caller }) {
        const { organisationId } = caller;
        const row = await findOrMakeUser(c.get("db"), organisationId, body.identifier, Date.now());
        return { status: 201, body: toUser(row) };
      },
    }),
    operation({
      id: "listUsers",
      method: "GET",
      path: "/users",
      caller: key("sessions:read"),
      readsNearby: true,
      summary: "List users, newest first",
      description: LISTS,
      query: usersQuery,
      answers: { 200: listOf(user, z.int()) },
      example: { query: { identifier: "customer-17" } },
      async handle(c, { query: { filter, page }, caller }) {
        const named = { identifier: filter.identifier };
        const users = await listUsers(c.get("db"), caller.organisationId, named, page);
        const { rows, hasMore, total } = users;
        return { status: 200, body: toList("/users", { data: rows.map(toUser), hasMore, total }) };
      },
    }),
    operation({
      id: "getUser",
      method: "GET",
      path: "/users/{id}",
      params: { id: integerIdForm("a user") },
      caller: key("sessions:read"),
      summary: "Show a user",
      answers: { 200: user },
      refusals: { 404: [notFound.code] },
      example: { params: { id: "1" } },
      async handle(c, { params, caller }) {
        const row = await findUser(c.get("db"), caller.organisationId, readIntegerId(params.id));
        if (!row) throw new Refused(notFound);
        return { status: 200, body: toUser(row) };
      },
    }),
    operation({
      id: "updateUser",
      method: "POST",
      path: "/users/{id}",
      params: { id: integerIdForm("a user") },
      caller: key("sessions:write"),
      summary: "Rename a user",
      description: "Two users cannot have the same identifier.",
      body: userChange,
      bodyIsOptional: true,
      answers: { 200: user },
      refusals: { 400: ["invalid-parameter"], 404: [notFound.code] },
      example: { params: { id: "1" }, body: { identifier: "customer-17" } },
      async handle(c, { params, body, caller: { organisationId } }) {
        const id = readIntegerId(params.id);
        const row =
          body.identifier === undefined
            ? await findUser(c.get("db"), organisationId, id)
            : await renameUser(c.get("db"), organisationId, id, body.identifier);
        if (!row) throw new Refused(notFound);
        if (row === "taken") {
          throw new Refused(invalidParameter("identifier", "is another user's"));
        }
        return { status: 200, body: toUser(row) };
      },
    }),
    operation({
      id: "createSource",
      method: "POST",
      path: "/sources",
      caller: key("sessions:write"),
      addsRows: true,
      summary: "Find or make a source",
      description:
        "This call is optional: `POST /sessions` makes the source that it names. The same call twice gives the same source.",
      body: sourceSpec,
      answers: { 201: source },
      answerTexts: { 201: "The source. It is new, or was there before." },
      refusals: { 400: ["invalid-parameter"] },
      example: { body: { user: 1, type: "icloud.account", identifier: "ben@example.com" } },
      async handle(c, { body, caller: { organisationId } }) {
        const found = await findOrMakeSource(
          c.get("db"),
          { organisationId, ...body },
          { mustHaveConnector: false, now: Date.now() },
        );
        if (!found.ok) {
          throw new Refused(invalidParameter("user", "must be the id of one of your users"));
        }
        return { status: 201, body: toSource(found.source) };
      },
    }),
    operation({
      id: "listSources",
      method: "GET",
      path: "/sources",
      caller: key("sessions:read"),
      readsNearby: true,
      summary: "List sources, newest first",
      description: LISTS,
      query: sourcesQuery,
      answers: { 200: listOf(source, z.int()) },
      example: { query: { user: "1", state: "active" } },
      async handle(c, { query: { filter, page }, caller }) {
        const { rows, hasMore, total, stoppedAt } = await listSources(
          c.get("db"),
          caller.organisationId,
          {
            userId: filter.user,
            identifier: filter.identifier,
            type: filter.type,
            state: filter.state,
          },
          page,
        );
        const data = rows.map(toSource);
        return { status: 200, body: toList("/sources", { data, hasMore, total, stoppedAt }) };
      },
    }),
    operation({
      id: "getSource",
      method: "GET",
      path: "/sources/{id}",
      params: { id: integerIdForm("a source") },
      caller: key("sessions:read"),
      summary: "Show a source",
      answers: { 200: source },
      refusals: { 404: [notFound.code] },
      example: { params: { id: "1" } },
      async handle(c, { params, caller }) {
        const id = readIntegerId(params.id);
        const row = (await findSources(c.get("db"), caller.organisationId, [id])).get(id);
        if (!row) throw new Refused(notFound);
        return { status: 200, body: toSource(row) };
      },
    }),
    operation({
      id: "updateSource",
      method: "POST",
      path: "/sources/{id}",
      params: { id: integerIdForm("a source") },
      caller: key("sessions:write"),
      summary: "Deactivate a source, or make it active again",
      description: "No session can be made for a source that is deactivated.",
      body: sourceChange,
      bodyIsOptional: true,
      answers: { 200: source },
      refusals: { 400: ["invalid-parameter"], 404: [notFound.code] },
      example: { params: { id: "1" }, body: { state: "deactivated" } },
      async handle(c, { params, body: { state }, caller: { organisationId } }) {
        const id = readIntegerId(params.id);
        const row =
          state === undefined
            ? (await findSources(c.get("db"), organisationId, [id])).get(id)
            : await setSourceState(c.get("db"), { organisationId, id }, state, Date.now());
        if (!row) throw new Refused(notFound);
        if (state !== undefined && row.state !== state) {
          const problem = `cannot become ${state}: the source is ${row.state}, which is not yours to change`;
          throw new Refused(invalidParameter("state", problem));
        }
        return { status: 200, body: toSource(row) };
      },
    }),
  ],
};
