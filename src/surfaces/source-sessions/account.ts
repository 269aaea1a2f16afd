/** The operations with which a caller reads their organisation and its API keys, in ricloud's format. */
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { findKeyRecord } from "../../keys/key-store";
import { hasPermission } from "../../keys/permissions";
import { findOrganisation } from "../../organisations/organisation-store";
import { integerIdForm } from "../shared/id-forms";
import { notFound } from "./errors";
import { ricloudKey, ricloudOrganisation, toKey, toOrganisation } from "./wire";

/** What a caller may read of themselves. */
export const account: OperationGroup = {
  name: "Account (ricloud)",
  description:
    "The caller's organisation and its API keys, for clients of ricloud. `/api-keys` shows more of keys.",
  page: "from-ricloud.md",
  operations: [
    operation({
      id: "getOwnOrganisation",
      method: "GET",
      path: "/organisation",
      caller: key(null),
      summary: "Show the caller's organisation",
      answers: { 200: ricloudOrganisation },
      refusals: { 404: [notFound.code] },
      example: {},
      async handle(c, { caller }) {
        const organisation = await findOrganisation(c.get("db"), caller.organisationId);
        if (!organisation) throw new Refused(notFound);
        return { status: 200, body: toOrganisation(organisation) };
      },
    }),
    operation({
      id: "getOwnKey",
      method: "GET",
      path: "/key",
      caller: key(null),
      summary: "Show the API key that calls",
      answers: { 200: ricloudKey },
      refusals: { 404: [notFound.code] },
      example: {},
      async handle(c, { caller }) {
        return { status: 200, body: await readKey(c, caller, caller.keyId) };
      },
    }),
    operation({
      id: "getKeyOfOrganisation",
      method: "GET",
      path: "/keys/{id}",
      params: { id: integerIdForm("an API key") },
      caller: key(null),
      summary: "Show an API key of the organisation",
      description:
        "The permissions of another key are shown to keys with `keys:read`. To others they are null.",
      answers: { 200: ricloudKey },
      refusals: { 404: [notFound.code] },
      example: { params: { id: "1" } },
      async handle(c, { params, caller }) {
        return { status: 200, body: await readKey(c, caller, readIntegerId(params.id)) };
      },
    }),
  ],
};

/** A key. Its permissions are null unless the caller is that key, or holds `keys:read`. */
async function readKey(c: Call, caller: Caller, id: number): Promise<Shown<typeof ricloudKey>> {
  const { organisationId, keyId, permissions } = caller;
  const found = await findKeyRecord(c.get("db"), organisationId, id);
  if (!found) throw new Refused(notFound);
  const shown = toKey(found, organisationId);
  const mayRead = found.id === keyId || hasPermission(permissions, "keys:read");
  return mayRead ? shown : { ...shown, permissions: null };
}
