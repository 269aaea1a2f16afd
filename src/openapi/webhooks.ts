/** The requests that Drawbridge itself sends, as OpenAPI describes them under `webhooks`. */
import { describeWebhooks, type WebhookDescription } from "../surfaces/shared/webhook-bodies";
import type { SchemaWriter } from "./json-schema";

/** The heading of all webhooks in the description. */
export const WEBHOOKS_TAG = {
  name: "What Drawbridge sends",
  description:
    "Webhooks: signed requests to the addresses that you named. They are no calls of the API. More: `docs/webhooks.md`.",
};

/** Every webhook by its name: that of the event, where it tells of one. */
export function webhooksOf(schemas: SchemaWriter): Record<string, object> {
  return Object.fromEntries(
    Object.entries(describeWebhooks()).map(([name, webhook]) => [
      name,
      { post: describe(name, webhook, schemas) },
    ]),
  );
}

function describe(name: string, { format, when, body }: WebhookDescription, schemas: SchemaWriter) {
  const [first = "", ...rest] = when.split(/(?<=\.) /);
  return {
    operationId: `on${toPascalCase(name)}`,
    tags: [WEBHOOKS_TAG.name],
    summary: first.replace(/\.$/, ""),
    description: [...rest, "`docs/webhooks.md` says how to verify the signature."].join(" "),
    // A receiver checks a signature. It asks for no credential that a caller could send.
    security: [],
    parameters: SIGNATURE_HEADERS[format],
    requestBody: {
      required: true,
      content: { "application/json": { schema: schemas.ofOutput(body) } },
    },
    responses: {
      "2XX": {
        description: "Received. Any other answer, or none within the time limit, is tried again.",
      },
      "410": { description: "Nobody wants it any more: the endpoint is switched off." },
    },
  };
}

/** `webhook-endpoint.secret.rotated` as `WebhookEndpointSecretRotated`. */
function toPascalCase(name: string): string {
  return name
    .split(/[._-]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

const STANDARD_WEBHOOK = [
  header("webhook-id", "The same in every attempt to deliver the same thing."),
  header("webhook-timestamp", "When this attempt was signed, in Unix seconds."),
  header("webhook-signature", "`v1,` and a base64 HMAC-SHA256; several are separated by spaces."),
];

const SIGNATURE_HEADERS: Record<WebhookDescription["format"], readonly object[]> = {
  standard: STANDARD_WEBHOOK,
  "relay-session": STANDARD_WEBHOOK,
  ricloud: [header("Ricloud-Signature", "Signed as ricloud does.")],
};

function header(name: string, description: string): object {
  return { name, in: "header", required: true, description, schema: { type: "string" } };
}
