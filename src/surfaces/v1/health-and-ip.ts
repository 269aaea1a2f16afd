/** Two operations of `/v1` without a key: whether Drawbridge works, and which address the caller has. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import packageJson from "../../../package.json";
import { heardSize, spaceOf } from "../../db/size";
import { type OperationGroup, open, operation } from "../../http/operation";
import { clientIp } from "../../http/request-context";

const health = z
  .object({
    status: z.enum(["ok", "degraded"]),
    version: z.string().meta({ description: "Of Drawbridge." }),
    d1: z.object({
      status: z.enum(["ok", "unreachable"]),
      read_ms: z.int().meta({ description: "How long a read took, in milliseconds." }),
      used_percent: z.int().nullable().meta({
        description: "How full the database is. Null: no limit is set, or it cannot be read.",
      }),
      space: z.enum(["enough", "filling", "full"]).nullable().meta({
        description:
          "`filling`: 70 % or more, time to make room. `full`: 90 % or more, creates are refused with 503 `database-full`. Null like `used_percent`.",
      }),
    }),
  })
  .meta({ id: "Health" });

/** What anybody may ask the service itself. */
export const service: OperationGroup = {
  name: "Service",
  description: "Whether Drawbridge works, and from which address you call.",
  page: "operations.md",
  operations: [
    operation({
      id: "getHealth",
      method: "GET",
      path: "/v1/health",
      caller: open,
      origins: "any",
      summary: "Say whether Drawbridge works",
      description:
        "For monitors. It reads from the database once. A database that is nearly full is no reason for a 503: look at `d1.space`.",
      answers: { 200: health, 503: health },
      answerTexts: { 200: "It works.", 503: "The database cannot be read." },
      example: {},
      async handle(c) {
        const startedAt = performance.now();
        const d1 = await c
          .get("db")
          .get(sql`select 1`)
          .then(
            () => "ok" as const,
            () => "unreachable" as const,
          );
        const isOk = d1 === "ok";
        const fill = isOk ? fillOf(c.get("config").databaseLimitBytes) : null;
        const body = {
          status: isOk ? ("ok" as const) : ("degraded" as const),
          version: packageJson.version,
          d1: {
            status: d1,
            read_ms: Math.round(performance.now() - startedAt),
            used_percent: fill?.percent ?? null,
            space: fill?.space ?? null,
          },
        };
        return isOk ? { status: 200, body } : { status: 503, body };
      },
    }),
    operation({
      id: "getIp",
      method: "GET",
      path: "/v1/ip",
      caller: open,
      origins: "any",
      summary: "Say which address the caller has",
      description:
        "Limits are counted for this address, and allowlists of API keys are compared with it.",
      answers: { 200: z.object({ public_ip: z.string().meta({ description: "IPv4 or IPv6." }) }) },
      example: {},
      async handle(c) {
        return { status: 200, body: { public_ip: clientIp(c) } };
      },
    }),
  ],
};

/** How full D1 is, as its last answer says. Null: there is no limit. */
function fillOf(limitBytes: number) {
  const bytes = heardSize();
  const space = bytes === null ? "unlimited" : spaceOf(bytes, limitBytes);
  if (bytes === null || space === "unlimited") return null;
  return { space, percent: Math.floor((bytes / limitBytes) * 100) };
}
