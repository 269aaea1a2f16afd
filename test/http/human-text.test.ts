/**
 * A text that people write must have something visible, and no name of a field is lost when a body
 * is read.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { freeText, humanText, signedText } from "../../src/http/human-text";
import { call, newOrganisation } from "../support/client";
import {
  decide,
  newApplication,
  newDevice,
  newNonce,
  pair,
  request,
  signedBody,
} from "../support/devices";
import { keyBody, newKey, patchKey } from "../support/keys";
import { create as createPermission, at as permissionAt, register } from "../support/permissions";
import { create } from "../support/sessions";
import { newBroker } from "../support/source-sessions";

const UNSEEN: Record<string, string> = {
  "a space": " ",
  "a no-break space": "\u00a0",
  "an ideographic space": "\u3000",
  "a line separator": "\u2028",
  "a zero-width space": "\u200b",
  "a zero-width joiner": "\u200d",
  "a word joiner": "\u2060",
  "a byte order mark": "\ufeff",
  "a soft hyphen": "\u00ad",
  "a combining accent": "\u0301",
  "an enclosing circle": "\u20dd",
  "a grapheme joiner": "\u034f",
  "a variation selector": "\ufe0f",
  "a Mongolian vowel separator": "\u180e",
  "a Hangul filler": "\u3164",
  "a Hangul choseong filler": "\u115f",
  "a Hangul jungseong filler": "\u1160",
  "a half-width Hangul filler": "\uffa0",
  "a Braille blank": "\u2800",
  "a Khmer inherent vowel": "\u17b4",
  "a tag character": "\u{e0041}",
  "a null notehead": "\u{1d159}",
  "a blank hieroglyph": "\u{13441}",
  "several of them": " \u200b\u3164\u2800\u0301",
};

describe("a name", () => {
  test.each(Object.entries(UNSEEN))("is refused when it holds nothing but %s", (_, text) => {
    expect(humanText(1, 100).safeParse(text).error?.issues[0]?.message).toMatch(/can be seen/);
    expect(humanText(0, 100).safeParse(text).success).toBe(false);
    expect(signedText(0, 100).safeParse(text).success).toBe(false);
    expect(freeText(0, 100).safeParse(text).success).toBe(true);
  });

  test.each(["Jo", " Jo ", "é", "e\u0301", "한", "ㅤ한", "👩‍👩‍👧", "1️⃣", "⠁", "שם", "नि", "-", "·"])(
    "is taken when it has something visible: %s",
    (text) => {
      expect(humanText(1, 100).parse(text)).toBe(text.normalize("NFC"));
    },
  );

  test("may be left empty where it is optional", () => {
    expect(humanText(0, 100).parse("")).toBe("");
    expect(humanText(1, 100).safeParse("").success).toBe(false);
  });
});

describe("a text with nothing visible is refused with 400 in every field that people write", () => {
  const blank = "\u3164\u200b";
  type Write = (text: string) => Promise<{ status: number; text: string }>;

  const WRITES: Record<string, Write> = {
    "the name of an organisation": (name) =>
      call("POST", "/v1/organisations", { key: env.DRAWBRIDGE_ROOT_TOKEN, body: { name } }),
    "the name of an application": async (name) => {
      const { key } = await newOrganisation();
      return call("POST", "/v1/applications", { key, body: { name } });
    },
    "the name of a new API key": async (name) => {
      const tenant = await newOrganisation();
      return call("POST", "/api-keys", { key: tenant.key, body: keyBody(tenant, { name }) });
    },
    "the name of an API key": async (name) => {
      const tenant = await newOrganisation();
      return patchKey(tenant, (await newKey(tenant)).id, { name });
    },
    "a label of an API key": async (label) => {
      const tenant = await newOrganisation();
      return patchKey(tenant, (await newKey(tenant)).id, { labels: [label] });
    },
    "the memo of a connection": async (memo) => {
      const { key } = await newOrganisation();
      return call("POST", "/connections/definition", { key, body: { connectionId: "a", memo } });
    },
    "the description of a webhook endpoint": async (description) => {
      const { key } = await newOrganisation();
      const body = { url: env.TEST_RECEIVER_URL, description };
      return call("POST", "/v1/webhooks/endpoints", { key, body });
    },
    "the identifier of a user": async (identifier) => {
      const { key } = await newOrganisation();
      return call("POST", "/users", { key, body: { identifier } });
    },
    "the new identifier of a user": async (identifier) => {
      const { key, userId } = await newBroker();
      return call("POST", `/users/${userId}`, { key, body: { identifier } });
    },
    "the identifier of a source": async (identifier) => {
      const { key, userId: user } = await newBroker();
      return call("POST", "/sources", { key, body: { user, type: "mocks.mock", identifier } });
    },
    "the identifier of a session's source": async (identifier) => {
      const { key, userId: user } = await newBroker();
      const source = { user, type: "mocks.mock", identifier };
      return call("POST", "/sessions", { key, body: { source, payload: {} } });
    },
    "a name in a session's metadata": async (name) => {
      return create((await newOrganisation()).key, { metadata: { [name]: "x" } });
    },
    "the display name of a device": async (display_name) => {
      const at = await newApplication();
      const body = await signedBody(await newDevice(), {}, await newNonce(at));
      const client = { ...body.client, display_name };
      return call("POST", `${at.path}/pairing/requests`, { body: { ...body, client } });
    },
    "the label of a device": async (label) => {
      const at = await newApplication();
      const device = await newDevice();
      await pair(at, device);
      const path = `${at.path}/devices/${device.id}`;
      return call("PATCH", path, { key: at.key, body: { label } });
    },
    "the reason of a rejection": async (reason) => {
      const at = await newApplication();
      const { id } = await request(at, await newDevice());
      return decide(at, id, "reject", { reason });
    },
    "the memo of a relay permission": async (memo) => {
      const { key } = await newOrganisation();
      await register(key, "a", "b");
      await createPermission(key, "a", "b", "send");
      return call("PUT", permissionAt("a", "b", "send"), { key, body: { memo } });
    },
    "the name of a relay node": async (name) => {
      const { key } = await newOrganisation();
      return call("POST", "/v1/relay-nodes", { key, body: { name } });
    },
    "the client id of a device": async (id) => {
      const at = await newApplication();
      const body = await signedBody(await newDevice(), {}, await newNonce(at));
      const client = { ...body.client, id };
      return call("POST", `${at.path}/pairing/requests`, { body: { ...body, client } });
    },
  };

  test.each(Object.entries(WRITES))("%s", async (_, write) => {
    const answer = await write(blank);
    expect(answer.status, answer.text).toBe(400);
    expect(answer.text).toContain("can be seen");
  });
});

test("an identifier is stored without the spaces around it, and found with them", async () => {
  const { key } = await newOrganisation();
  const made = await call("POST", "/users", { key, body: { identifier: "  Jo Ann\u00a0" } });
  expect(made.body.identifier).toBe("Jo Ann");
  const again = await call("POST", "/users", { key, body: { identifier: "Jo Ann " } });
  expect(again.body.id).toBe(made.body.id);
  const found = await call("GET", "/users?identifier=%20Jo%20Ann%20", { key });
  expect(found.body.data).toHaveLength(1);
  const source = { user: made.body.id, type: "mocks.mock", identifier: " acc " };
  expect((await call("POST", "/sources", { key, body: source })).body.identifier).toBe("acc");
  expect((await call("GET", "/sources?identifier=acc%20", { key })).body.data).toHaveLength(1);
});

describe("a field named __proto__ is refused, and never dropped without a word,", () => {
  const FIELD = '"__proto__": {"a": "x"}';

  test.each<[string, string, string]>([
    ["in a session's metadata", "/v1/relays/sessions", `{"metadata": {${FIELD}}}`],
    ["as text in metadata", "/v1/relays/sessions", '{"metadata": {"__proto__": "x"}}'],
    ["beside other fields", "/v1/relays/sessions", `{"max_users": 2, ${FIELD}}`],
    ["spelled with an escape", "/v1/relays/sessions", '{"metadata": {"\\u005f_proto__": "x"}}'],
    ["in credentials", "/sessions", `{"source": {}, "payload": {${FIELD}}}`],
    ["deep in credentials", "/sessions", `{"source": {}, "payload": {"a": [{${FIELD}}]}}`],
    ["in the body of a user", "/users", `{"identifier": "jo", ${FIELD}}`],
    ["in the body of an API key", "/api-keys", `{"name": "x", ${FIELD}}`],
    ["in a body of ours", "/v1/applications", `{"name": "x", ${FIELD}}`],
  ])("%s", async (_, path, body) => {
    const { key } = await newOrganisation();
    const answer = await call("POST", path, { key, body });
    expect(answer.status).toBe(400);
    expect(answer.text).toContain("__proto__ cannot be the name of a field");
  });

  test("while other names that every JavaScript object has are kept", async () => {
    const { key } = await newOrganisation();
    const metadata = { constructor: "a", toString: "b", hasOwnProperty: "c", prototype: "d" };
    expect((await create(key, { metadata })).body.metadata).toEqual(metadata);
  });
});

test("metadata with one name in two encodings is refused, since one of its texts would be lost", async () => {
  const { key } = await newOrganisation();
  const { status, body } = await create(key, { metadata: { "caf\u00e9": "1", "cafe\u0301": "2" } });
  expect(status).toBe(400);
  expect(body.message).toContain("metadata must not have a name twice");
});
