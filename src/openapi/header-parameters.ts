/** The headers of requests that change what a call does, as OpenAPI describes them. */
import type { MeaningfulHeader, Operation } from "../http/operation";
import { securityOf, takesIdempotency } from "./refusals";

/** A parameter object of OpenAPI. */
interface HeaderParameter {
  name: MeaningfulHeader;
  in: "header";
  description: string;
  schema: object;
}

/** Each header by the name of its component. */
export const HEADER_PARAMETERS: Record<string, HeaderParameter> = {
  OrganisationId: {
    name: "X-Organisation-Id",
    in: "header",
    description:
      "The organisation to act in, if the API key has several. Left out: the first of them.",
    schema: { type: "integer", minimum: 1 },
  },
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "Makes it safe to retry: the same request with the same key gets the first answer again, for 24 hours. 1 to 255 visible ASCII characters.",
    schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
  },
  D1Bookmark: {
    name: "X-D1-Bookmark",
    in: "header",
    description:
      "The list may be answered by a copy of the database that is near you, at most five seconds old. Send `latest` first, and from then on what the last answer with this header said: then what you have changed is in the list.",
    schema: { type: "string" },
  },
  RicloudAwait: {
    name: "Ricloud-Await",
    in: "header",
    description: "For how many seconds the answer may wait for the outcome. 0 if it is left out.",
    schema: { type: "integer", minimum: 0, maximum: 10 },
  },
};

/** References to the headers that an operation takes. */
export function headerParametersOf(operation: Operation): object[] {
  const taken = new Set(operation.headers);
  if (securityOf(operation).includes("apiKey")) taken.add("X-Organisation-Id");
  if (takesIdempotency(operation)) taken.add("Idempotency-Key");
  if (operation.readsNearby) taken.add("X-D1-Bookmark");
  return Object.entries(HEADER_PARAMETERS).flatMap(([component, { name }]) =>
    taken.has(name) ? [{ $ref: `#/components/parameters/${component}` }] : [],
  );
}
