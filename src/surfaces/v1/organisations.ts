/** The operations of organisations on `/v1`. The root token makes, lists and deletes them. */
import * as z from "zod";
import { setJournalCount } from "../../events/journal-counts";
import { MAX_JOURNAL_COUNT } from "../../events/journal-key";
import { unknownOrganisation } from "../../http/guard-refusals";
import { humanText } from "../../http/human-text";
import { type OperationGroup, operation, root, type Shown } from "../../http/operation";
import { idPageQuery, pageOf, toIdPage } from "../../http/paging";
import { Refused } from "../../http/request-context";
import { readIntegerId } from "../../http/whole-numbers";
import { deriveAccessKey } from "../../keys/access-key";
import { newToken } from "../../keys/key-token";
import { ALL_PERMISSIONS } from "../../keys/permissions";
import {
  createOrganisation,
  deleteOrganisation,
  listOrganisations,
  type Organisation,
  organisationSlug,
} from "../../organisations/organisation-store";
import { FIRST_SECRET, organisationOwner, signingSecrets } from "../../outbound/signing-secrets";
import { accessKey } from "../shared/access-key";
import { integerIdForm } from "../shared/id-forms";
import { time, toRfc3339 } from "../shared/wire-time";

const createBody = z.strictObject({
  name: humanText(1, 100).meta({ description: "1 to 100 characters. It need not be unique." }),
});

const changeBody = z.strictObject({
  event_journals: z
    .int()
    .min(1)
    .max(MAX_JOURNAL_COUNT)
    .meta({ description: "Over how many journals the events of a day are spread: 1 to 64." }),
});

const organisationJournals = z
  .object({
    id: z.int(),
    event_journals: z
      .int()
      .meta({ description: "Over how many journals the events of a day are spread." }),
    counts_from: time.meta({ description: "From when on. Earlier events stay where they are." }),
  })
  .meta({ id: "OrganisationJournals" });

const organisation = z
  .object({
    id: z.int(),
    name: z.string(),
    short: z.string().meta({ description: "The name in small letters, with hyphens." }),
    created_at: time,
  })
  .meta({ id: "Organisation" });

const newOrganisation = z
  .object({
    ...organisation.shape,
    webhook_secret: z
      .string()
      .meta({ description: "Signs the webhooks that are sent to a session's `webhook_url`." }),
    api_key: z
      .object({
        id: z.int(),
        token: z.string().meta({ description: "What a program sends with each call." }),
        access_key: accessKey,
        permissions: z.array(z.string()),
      })
      .meta({ description: "The first API key. Its token and secret are shown this once." }),
  })
  .meta({ id: "NewOrganisation" });

/** Organisations, for whoever runs the deployment. */
export const organisations: OperationGroup = {
  name: "Organisations",
  description:
    "An organisation is a tenant: it has API keys, and sees nothing of others. Whoever runs the deployment makes, lists and deletes them.",
  page: "operations.md",
  operations: [
    operation({
      id: "createOrganisation",
      method: "POST",
      path: "/v1/organisations",
      caller: root,
      addsRows: true,
      summary: "Make an organisation and its first API key",
      description:
        "The key may do everything (`*`). With it, the organisation makes keys that may do less.",
      body: createBody,
      answers: { 201: newOrganisation },
      answerTexts: {
        201: "The new organisation, with its first API key. Its token is shown this once.",
      },
      example: { body: { name: "Acme" } },
      async handle(c, { body: { name } }) {
        const { secret } = c.get("config");
        const token = newToken();
        const now = Date.now();
        const { organisation: made, key } = await createOrganisation(c.get("db"), name, token, now);
        const [webhookSecret] = signingSecrets(
          secret,
          organisationOwner(made.id),
          FIRST_SECRET,
          now,
        );
        const body = {
          ...toOrganisation(made),
          webhook_secret: webhookSecret,
          api_key: {
            id: key.id,
            token,
            access_key: deriveAccessKey(secret, key),
            permissions: [ALL_PERMISSIONS],
          },
        };
        return { status: 201, body };
      },
    }),
    operation({
      id: "listOrganisations",
      method: "GET",
      path: "/v1/organisations",
      caller: root,
      readsNearby: true,
      summary: "List all organisations, newest first",
      query: idPageQuery,
      answers: { 200: pageOf(organisation) },
      example: { query: { limit: "10" } },
      async handle(c, { query: { limit, after } }) {
        const rows = await listOrganisations(c.get("db"), { before: after, limit: limit + 1 });
        return { status: 200, body: toIdPage(rows, limit, toOrganisation) };
      },
    }),
    operation({
      id: "updateOrganisation",
      method: "PATCH",
      path: "/v1/organisations/{id}",
      params: { id: integerIdForm("an organisation") },
      caller: root,
      summary: "Spread an organisation's events over more journals",
      description:
        "One journal holds an organisation's events of a UTC day: 9.5 GB, and about 1,000 calls a second. An organisation that does more gets several. The change counts three minutes later. Earlier events stay where they are, and callers see no difference.",
      body: changeBody,
      answers: { 200: organisationJournals },
      refusals: { 404: ["organisation-not-found"] },
      example: { params: { id: "999999" }, body: { event_journals: 4 } },
      async handle(c, { params, body }) {
        const id = readIntegerId(params.id);
        const { retentionDays } = c.get("config");
        const change = await setJournalCount(
          c.get("db"),
          { organisationId: id, count: body.event_journals, retentionDays },
          Date.now(),
        );
        if (!change) throw new Refused(unknownOrganisation);
        const { count, from } = change;
        return { status: 200, body: { id, event_journals: count, counts_from: toRfc3339(from) } };
      },
    }),
    operation({
      id: "deleteOrganisation",
      method: "DELETE",
      path: "/v1/organisations/{id}",
      params: { id: integerIdForm("an organisation") },
      caller: root,
      summary: "Delete an organisation",
      description:
        "Its API keys stop working; they may still work for up to 10 seconds. All else of it is removed in the next minutes and hours.",
      answers: { 204: null },
      refusals: { 404: ["organisation-not-found"] },
      example: { params: { id: "999999" } },
      async handle(c, { params }) {
        const id = readIntegerId(params.id);
        const deleted = await deleteOrganisation(c.get("db"), id, Date.now());
        if (!deleted) throw new Refused(unknownOrganisation);
        return { status: 204 };
      },
    }),
  ],
};

function toOrganisation(row: Organisation): Shown<typeof organisation> {
  return {
    id: row.id,
    name: row.name,
    short: organisationSlug(row.name),
    created_at: toRfc3339(row.createdAt),
  };
}
