/** The requests that Drawbridge itself sends, as OpenAPI describes them under `webhooks`. */
import { describeWebhooks, type WebhookDescription } from "../surfaces/shared/webhook-bodies";
import type { SchemaWriter } from "./json-schema";

/** The heading of all webhooks in the description. */
export const WEBHOOKS_TAG = {
  name: "Webhooks that Drawbridge sends",
  description:
    "Signed requests to the addresses that you named. They are no calls of the API. More: `docs/webhooks.md`.",
};

/**
 * Every webhook by its name: that of the event, where it tells of one.
 * @param examples the body of each, by its name
 * @throws Error if a webhook has no example
 */
export function webhooksOf(
  schemas: SchemaWriter,
  examples: Readonly<Record<string, unknown>>,
): Record<string, object> {
  return Object.fromEntries(
    Object.entries(describeWebhooks()).map(([name, webhook]) => {
      const example = examples[name];
      if (example === undefined) throw new Error(`docs/webhooks.md has no example of ${name}`);
      const content = { schema: schemas.ofOutput(webhook.body), example };
      return [name, { post: describe(name, webhook, content) }];
    }),
  );
}

function describe(name: string, { format, when }: WebhookDescription, content: object) {
  const [first = "", ...rest] = when.split(/(?<=\.) /);
  return {
    operationId: `on${toPascalCase(name)}`,
    tags: [WEBHOOKS_TAG.name],
    // A summary is plain text.
    summary: first.replace(/\.$/, "").replaceAll("`", ""),
    description: [...rest, "`docs/webhooks.md` says how to verify the signature."].join(" "),
    // A receiver checks a signature. It asks for no credential that a caller could send.
    security: [],
    parameters: SIGNATURE_HEADERS[format],
    requestBody: {
      required: true,
      content: { "application/json": content },
    },
    responses: {
      "2XX": {
        description: isTest(name)
          ? "Received. A test is sent once, whatever the answer is."
          : "Received. After any other answer but 410, or none within the time limit, it is sent again.",
      },
      "410": { description: `The receiver wants no more of these. ${whatGoneDoes(name)}` },
    },
  };
}

/** What Drawbridge does when the receiver answers 410. */
function whatGoneDoes(name: string): string {
  if (name === "relay-session") return "This one is not sent again.";
  if (isTest(name)) return "The test has failed. The endpoint stays as it is.";
  return "The endpoint is disabled.";
}

function isTest(name: string): boolean {
  return name.endsWith(".test");
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
