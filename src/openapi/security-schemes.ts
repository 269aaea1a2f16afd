/** The kinds of credentials, as OpenAPI describes them. */
import type { SecurityScheme } from "../http/operation";

/** By name, as operations name them. */
export const SECURITY_SCHEMES: Record<SecurityScheme, object> = {
  apiKey: bearer("An API key (`drb_…`). The schemes `token` and `Bearer` mean the same."),
  operatorToken: bearer(
    "The session token of an operator who signed in at `/v1/auth/session-tokens`. It has the permissions of the API key behind it.",
  ),
  rootToken: bearer("The root token of the deployment, `DRAWBRIDGE_ROOT_TOKEN`."),
  deviceToken: bearer("The token of a paired device (`drbd_…`)."),
  pollToken: bearer("The token with which a device asks for the decision (`drbp_…`)."),
  relayNodeToken: bearer("The token of a relay node (`drbn_…`)."),
  relayTokens: {
    type: "apiKey",
    in: "query",
    name: "user_token",
    description:
      "The two tokens of a user of a relay session: `session_token` and `user_token`, both in the query.",
  },
  acs3Signature: {
    type: "apiKey",
    in: "header",
    name: "Authorization",
    description:
      "`ACS3-HMAC-SHA256`, the signature of Alibaba Cloud's newer SDKs, made with the access key of an API key: `ACS3-HMAC-SHA256 Credential=…,SignedHeaders=…,Signature=…`. The host, every `x-acs-` header, `X-Organisation-Id` and `Idempotency-Key` must be signed where they are sent. At most 15 minutes old; each `x-acs-signature-nonce` works once.",
  },
  rpcSignature: {
    type: "apiKey",
    in: "query",
    name: "Signature",
    description:
      "`HMAC-SHA1`, version `1.0`, the signature of Alibaba Cloud's older SDKs, made with the access key of an API key: the parameters `AccessKeyId`, `Signature`, `SignatureMethod`, `SignatureVersion`, `SignatureNonce` and `Timestamp`.",
  },
  connectorSignature: {
    type: "apiKey",
    in: "header",
    name: "webhook-signature",
    description:
      "A [Standard Webhook](https://www.standardwebhooks.com) signed with the secret of a connector: `webhook-id`, `webhook-timestamp` (at most five minutes old) and `webhook-signature`.",
  },
};

function bearer(description: string) {
  return { type: "http", scheme: "bearer", description };
}
