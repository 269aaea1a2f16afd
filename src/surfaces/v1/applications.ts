/** The operations of applications on `/v1`: an organisation makes, lists and reads what its devices pair with. */
import * as z from "zod";
import { newApplicationId } from "../../devices/application-id";
import {
  type Application,
  insertApplication,
  LONGEST_APPLICATION_NAME,
  listApplications,
  selectApplication,
} from "../../devices/application-store";
import { humanText } from "../../http/human-text";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import {
  pageCursor,
  pageLimit,
  pageOf,
  readTimeCursor,
  toKeysetPage,
  toTimeCursor,
} from "../../http/paging";
import { time, toRfc3339 } from "../shared/wire-time";
import {
  APPLICATION_PATH,
  applicationForm,
  applicationNotFound,
  applicationRef,
  exampleApplication,
} from "./device-paths";

/** How many ids are tried. An id is one of 2⁷²: if three are taken, something is broken. */
const MAX_ID_TRIES = 3;

const createBody = z.strictObject({
  name: humanText(1, LONGEST_APPLICATION_NAME).meta({
    description: `For people: 1 to ${LONGEST_APPLICATION_NAME} characters.`,
  }),
});

const listQuery = z.strictObject({
  limit: pageLimit,
  cursor: pageCursor(/^[0-9]{1,15}\.pa-[0-9a-z]{14}$/),
});

const application = z
  .object({
    id: z.string().meta({ example: "pa-5hkzi4sk2io9em" }),
    name: z.string(),
    created_at: time,
  })
  .meta({ id: "Application" });

/** What devices pair with, for the organisation that owns it. */
export const applications: OperationGroup = {
  name: "Applications",
  description:
    "An application is what devices pair with: one gateway, for example. Devices name it by its id.",
  page: "pairing.md",
  operations: [
    operation({
      id: "createApplication",
      method: "POST",
      path: "/v1/applications",
      caller: key("devices:manage"),
      addsRows: true,
      summary: "Make an application",
      description: "Tell the devices its `id`: they ask to be let in there.",
      body: createBody,
      answers: { 201: application },
      example: { body: { name: "Gateway" } },
      async handle(c, { body: { name }, caller: { organisationId } }) {
        const createdAt = Date.now();
        for (let i = 0; i < MAX_ID_TRIES; i++) {
          const id = newApplicationId();
          if (await insertApplication(c.get("db"), { id, organisationId, name, createdAt })) {
            return { status: 201, body: toApplicationWire({ id, name, createdAt }) };
          }
        }
        throw new Error("no free application id was drawn");
      },
    }),
    operation({
      id: "listApplications",
      method: "GET",
      path: "/v1/applications",
      caller: key("devices:list"),
      readsNearby: true,
      summary: "List all applications, newest first",
      query: listQuery,
      answers: { 200: pageOf(application) },
      example: { query: { limit: "10" } },
      async handle(c, { query: { limit, cursor }, caller: { organisationId } }) {
        const query = { organisationId, after: readTimeCursor(cursor), limit: limit + 1 };
        const rows = await listApplications(c.get("db"), query);
        return { status: 200, body: toKeysetPage(rows, limit, toTimeCursor, toApplicationWire) };
      },
    }),
    operation({
      id: "getApplication",
      method: "GET",
      path: APPLICATION_PATH,
      params: applicationForm,
      caller: key("devices:list"),
      summary: "Show an application",
      answers: { 200: application },
      refusals: { 404: ["application-not-found"] },
      example: { params: exampleApplication },
      async handle(c, { params, caller }) {
        const { organisationId, applicationId } = applicationRef(params, caller);
        const [row] = await selectApplication(c.get("db"), organisationId, applicationId);
        if (!row) throw applicationNotFound();
        return { status: 200, body: toApplicationWire(row) };
      },
    }),
  ],
};

function toApplicationWire({
  id,
  name,
  createdAt,
}: Omit<Application, "organisationId">): Shown<typeof application> {
  return { id, name, created_at: toRfc3339(createdAt) };
}
