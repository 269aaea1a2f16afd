/**
 * A hostile address is refused on every path that takes an address. It gets no request either on
 * any path that uses a stored one, such as one from before a rule. The rules are those of
 * production; no hostile address is ever fetched.
 */
import { createExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createApp } from "../../src/app";
import { type DomainEvent, newEventId } from "../../src/events/event";
import { unattempted } from "../../src/journals/stored-delivery";
import { judgeAddress } from "../../src/outbound/address";
import { readConfig } from "../../src/platform/config";
import { type Connector, MOCK_CONNECTOR } from "../../src/sources/connector";
import { checkAccess } from "../../src/sources/verify-access";
import { newDelivery } from "../../src/webhooks/delivery";
import { newOrganisation, type Tenant } from "../support/client";
import { DEPLOYED, HOSTILE, OTHER_HOSTNAMES, spellingsOf } from "../support/hostile-addresses";
import { storeRecords } from "../support/journals";
import { deliverWith, deliveryRows, newEvent, newMailbox } from "../support/pipeline";
import { GOOD, newBroker } from "../support/source-sessions";

const HERE = "https://drawbridge.example.com";
const production = {
  ...env,
  ALLOW_INSECURE_WEBHOOKS: "",
  OWN_HOSTNAMES: OTHER_HOSTNAMES,
} as unknown as Env;
const app = createApp();
const mailbox = newMailbox();

const HARMLESS = "https://hooks.example.com/";
const ALL = [...new Set([...Object.values(HOSTILE).flat(), ...spellingsOf(mailbox.url)])];
/** D1 stores UTF-8: a text that is not well-formed cannot be in it. */
const STORABLE = ALL.filter((address) => address.isWellFormed());

/** What the Worker has tried to fetch. From here only the tests' receiver can be reached. */
let fetched: string[] = [];

beforeEach(() => {
  fetched = [];
  const { fetch } = globalThis;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    const url = new Request(input, init).url;
    if (url.includes("/control/")) return fetch(input, init);
    fetched.push(url);
    return url.startsWith(mailbox.url) ? fetch(input, init) : Promise.reject(new Error("no way"));
  });
});

afterEach(async () => {
  expect(fetched).toEqual([]);
  expect(await mailbox.requests()).toEqual([]);
  vi.restoreAllMocks();
});

/** Calls the Worker with the settings of a deployment. */
async function call(method: string, path: string, key: string, body?: unknown, more = {}) {
  const headers = { Authorization: `token ${key}`, ...more };
  const request = new Request(HERE + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await app.fetch(request, production, createExecutionContext());
  const text = await answer.text();
  return { status: answer.status, text, body: text === "" ? undefined : JSON.parse(text) };
}

/** Does the same with all of them, a few side by side. */
async function withEach<T>(list: readonly T[], work: (item: T, i: number) => Promise<void>) {
  for (let from = 0; from < list.length; from += 25) {
    await Promise.all(list.slice(from, from + 25).map((item, i) => work(item, from + i)));
  }
}

const judged = (address: string) => {
  const judgement = judgeAddress(address, DEPLOYED);
  if (judgement.ok) throw new Error(`${address} is not hostile`);
  return judgement.refusal;
};

const countOf = (table: string, tenant: Tenant) =>
  env.DB.prepare(`select count(*) n from ${table} where organisation_id = ?`)
    .bind(tenant.id)
    .first("n");

test("the list has at least 100 hostile addresses, and harmless ones are accepted on the same paths", async () => {
  expect(ALL.length).toBeGreaterThanOrEqual(100);
  const { key } = await newOrganisation();
  const body = { url: HARMLESS, enabled: false };
  expect((await call("POST", "/v1/webhooks/endpoints", key, body)).status).toBe(201);
  expect((await call("PUT", "/v1/connectors/test.type", key, { url: HARMLESS })).status).toBe(200);
});

describe("a hostile address is refused with its reason", () => {
  test("for a new webhook endpoint", async () => {
    const tenant = await newOrganisation();
    await withEach(ALL, async (url) => {
      const { status, body } = await call("POST", "/v1/webhooks/endpoints", tenant.key, { url });
      const { code, reason } = judged(url);
      expect([status, body.code], url).toEqual([400, code]);
      expect(body.errors).toEqual([{ path: "url", message: reason }]);
    });
    expect(await countOf("webhook_endpoints", tenant)).toBe(0);
  });

  test("for a webhook endpoint that exists", async () => {
    const tenant = await newOrganisation();
    const made = await call("POST", "/v1/webhooks/endpoints", tenant.key, {
      url: HARMLESS,
      enabled: false,
    });
    const path = `/v1/webhooks/endpoints/${made.body.id}`;
    await withEach(ALL, async (url) => {
      const change = { url, description: "moved", enabled: true };
      const { status, body } = await call("PATCH", path, tenant.key, change);
      expect([status, body.code], url).toEqual([400, judged(url).code]);
    });
    const { body } = await call("GET", path, tenant.key);
    const before = { url: HARMLESS, version: 1, description: "", enabled: false };
    expect(body).toMatchObject(before);
  });

  test("for a webhook config that is new or exists", async () => {
    const tenant = await newOrganisation();
    await env.DB.prepare(
      `insert into webhook_endpoints (organisation_id, id, url, format, enabled, origin, created_at)
       values (?, ?, ?, 'ricloud', 0, ?, 0)`,
    )
      .bind(tenant.id, `whe_${"a".repeat(32)}`, HARMLESS, HERE)
      .run();
    await withEach(ALL, async (url) => {
      for (const path of ["/configs/webhook", `/configs/webhook/whe_${"a".repeat(32)}`]) {
        const { status, body } = await call("POST", path, tenant.key, { url });
        expect([status, body.error], `${path} ${url}`).toEqual([400, "invalid-parameter"]);
        expect(body.params).toEqual({ url: judged(url).reason });
      }
    });
    const { body } = await call("GET", "/configs/webhook", tenant.key);
    expect(body.data).toMatchObject([{ url: HARMLESS }]);
  });

  test("for a relay session's webhook_url", async () => {
    const tenant = await newOrganisation();
    // On this surface an empty text means no webhook_url.
    const given = ALL.filter((address) => address !== "");
    await withEach(given, async (url) => {
      const asked = { webhook_url: url };
      const { status, body } = await call("POST", "/v1/relays/sessions", tenant.key, asked);
      expect(status, url).toBe(400);
      expect(body.message).toBe(`webhook_url is refused: ${judged(url).reason}`);
    });
    expect(await countOf("sessions", tenant)).toBe(0);
  });

  test("for a connector", async () => {
    const tenant = await newOrganisation();
    await withEach(ALL, async (url) => {
      const { status, body } = await call("PUT", "/v1/connectors/test.type", tenant.key, { url });
      expect([status, body.code], url).toEqual([400, judged(url).code]);
    });
    expect(await countOf("connectors", tenant)).toBe(0);
  });
});

/** Stores an enabled endpoint for each address, whatever it is, in the order of the addresses. */
async function storeEndpoints(tenant: Tenant): Promise<string[]> {
  await env.DB.prepare(
    `insert into webhook_endpoints (organisation_id, id, url, format, enabled, origin, created_at)
     select ?, 'whe_' || printf('%032x', key), value, iif(key % 2, 'standard', 'ricloud'), 1, ?, 0
     from json_each(?)`,
  )
    .bind(tenant.id, HERE, JSON.stringify(STORABLE))
    .run();
  return STORABLE.map((_, i) => `whe_${i.toString(16).padStart(32, "0")}`);
}

/** Asserts that the endpoints' deliveries are all over, unsent, and say why. */
async function expectDiscarded(tenant: Tenant, idOf: (address: string, i: number) => string) {
  const rows = new Map((await deliveryRows(tenant)).map((row) => [row.id, row]));
  for (const [i, address] of STORABLE.entries()) {
    expect(rows.get(idOf(address, i)), address).toMatchObject({
      url: address,
      status: "discarded",
      next_attempt_at: null,
      attempts: [{ statusCode: null, response: null, error: judged(address).reason }],
    });
  }
}

describe("a hostile address that is already stored gets no request", () => {
  test("when a webhook endpoint is tested", async () => {
    const tenant = await newOrganisation();
    const ids = await storeEndpoints(tenant);
    await withEach(ids, async (id, i) => {
      const path = `/v1/webhooks/endpoints/${id}:test`;
      const { status, body } = await call("POST", path, tenant.key);
      const { reason } = judged(STORABLE[i] ?? "");
      expect([status, body.status_code, body.error], STORABLE[i]).toEqual([200, null, reason]);
    });
    const byUrl = new Map((await deliveryRows(tenant)).map(({ url, id }) => [url, id]));
    await expectDiscarded(tenant, (address) => byUrl.get(address) ?? "");
  });

  test("when a delivery to a webhook endpoint is due", async () => {
    const tenant = await newOrganisation();
    const ids = await storeEndpoints(tenant);
    const at = Date.now();
    const event = {
      id: newEventId(at),
      organisationId: tenant.id,
      type: "connection.created",
      at,
      data: { connection: { connectionId: "c", memo: "" } },
    } as DomainEvent;
    const owed = STORABLE.map((url, i) =>
      newDelivery(event, i % 2 ? "standard" : "ricloud", url, ids[i] ?? ""),
    );
    await deliver([{ event, owed }]);
    await expectDiscarded(tenant, (_, i) => owed[i]?.id ?? "");
  });

  test("when a delivery to a session's webhook_url is due", async () => {
    const tenant = await newOrganisation();
    const event = await newEvent(tenant, "session.active", HARMLESS);
    const { session } = event.data;
    // Its address is in the event itself.
    const records = STORABLE.map((webhookUrl) => {
      const data = { session: { ...session, origin: HERE, webhookUrl } };
      const here = { ...event, id: newEventId(event.at), data };
      return { event: here, owed: [newDelivery(here, "relay-session", webhookUrl)] };
    });
    await deliver(records);
    await expectDiscarded(tenant, (_, i) => records[i]?.owed[0]?.id ?? "");
  });

  test("when a connector has to verify an access or check a session", async () => {
    const broker = await newBroker();
    await env.DB.prepare(
      `insert into connectors (organisation_id, type, url, timeout_seconds, session_ttl_seconds,
         idle_seconds, created_at)
       select ?, 'hostile.' || key, value, 5, 3600, 3600, 1 from json_each(?)`,
    )
      .bind(broker.id, JSON.stringify(STORABLE))
      .run();
    await withEach(STORABLE, async (url, i) => {
      const type = `hostile.${i}`;
      const source = { user: broker.userId, type, identifier: "jo" };
      const asked = { source, payload: GOOD };
      const { body } = await call("POST", "/sessions", broker.key, asked, {
        "Ricloud-Await": "10",
      });
      expect(body, url).toMatchObject({ state: "failed", error: "service-unavailable" });

      const connector: Connector = {
        ...MOCK_CONNECTOR,
        type,
        url,
        timeoutSeconds: 5,
        checkIntervalSeconds: 1,
        sessionTtlSeconds: 3_600,
        idleSeconds: 3_600,
        createdAt: 1,
      };
      const session = { id: body.id, organisationId: broker.id, origin: HERE };
      const { ended } = await checkAccess(readConfig(production), connector, {
        ...session,
        source: { userId: broker.userId, sourceId: 1, type, identifier: "jo" },
      });
      expect(ended).toBe(false);
    });
  });
});

/** Has the consumer of the queue make the first attempt of all of them. */
async function deliver(
  records: { event: DomainEvent; owed: ReturnType<typeof newDelivery>[] }[],
): Promise<void> {
  const [first] = records;
  await storeRecords(
    first?.event.organisationId ?? 0,
    records.map(({ event, owed }) => ({ event, deliveries: owed.map(unattempted) })),
  );
  const owed = records.flatMap((record) => record.owed);
  const messages = owed.map(({ organisationId, id }) => ({ v: 1, organisationId, id, attempt: 1 }));
  const { retried } = await deliverWith(readConfig(production), messages);
  expect(retried).toEqual([]);
}
