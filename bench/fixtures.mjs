/** What the bench's calls need before they can be made: an organisation, sessions, pairing requests, an endpoint. */
import * as crypto from "node:crypto";
import { send } from "./http-client.mjs";
import { newOrganisation } from "./server.mjs";

/** The tables that the reference Workers read too. */
const SHARED = [
  "organisations",
  "api_keys",
  "key_tokens",
  "organisation_keys",
  "sessions",
  "session_counts",
  "pairing_requests",
  "webhook_endpoints",
];

/** An organisation, with the headers of its key, and what is called in it. */
export class Fixtures {
  constructor(server, headers, id, token) {
    this.server = server;
    this.headers = headers;
    this.id = id;
    this.token = token;
  }

  static async make(server) {
    const headers = await newOrganisation(server.url);
    const token = headers.Authorization.slice("token ".length);
    const { organisations } = await send({
      method: "POST",
      url: `${server.url}v1/keys:verify`,
      headers,
      body: { token },
    });
    return new Fixtures(server, headers, organisations[0], token);
  }

  /** A request with the organisation's key. */
  request(method, path, body) {
    return { method, url: `${this.server.url}${path}`, headers: this.headers, body };
  }

  call(method, path, body) {
    return send(this.request(method, path, body));
  }

  createSession(body = PAIR) {
    return this.call("POST", "v1/relays/sessions", body);
  }

  async newEndpoint(url, eventTypes = ["session.active"]) {
    const body = { url, event_types: eventTypes };
    return (await this.call("POST", "v1/webhooks/endpoints", body)).id;
  }

  /** So many devices that wait for a decision. The first asks; the others are copies of its row. */
  async addPendingRequests(count) {
    const { id } = await this.call("POST", "v1/applications", { name: "Gateway" });
    await askToPair(this.server.url, id);
    const db = await this.server.mf.getD1Database("DB");
    await db
      .prepare(
        `insert into pairing_requests
          with recursive n (i) as (select 1 union all select i + 1 from n where i < ?2)
          select status, application_id, 'pr-01900000-0000-7000-8000-' || printf('%012x', i), organisation_id,
            printf('%064x', i), remote_ip, expires_at, claim, asked, outcome, sweep_at
          from pairing_requests, n where application_id = ?1 and ?2 > 0`,
      )
      .bind(id, count - 1)
      .run();
  }

  /** Gives another server the same rows. An older Drawbridge has no place for some columns: they are left out. */
  async copyTo(server) {
    const [from, to] = [
      await this.server.mf.getD1Database("DB"),
      await server.mf.getD1Database("DB"),
    ];
    for (const table of SHARED) {
      const here = await columnsOf(from, table);
      const columns = (await columnsOf(to, table)).filter((name) => here.includes(name));
      const marks = columns.map(() => "?");
      const insertion = to.prepare(
        `insert or replace into ${table} (${columns}) values (${marks})`,
      );
      const { results } = await from.prepare(`select * from ${table}`).all();
      for (const row of results) await insertion.bind(...columns.map((name) => row[name])).run();
    }
  }
}

/** The names of a table's columns. */
export async function columnsOf(db, table) {
  const { results } = await db.prepare(`select name from pragma_table_info('${table}')`).all();
  return results.map(({ name }) => name);
}

/** What a session of two users is made of. */
export const PAIR = { users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }] };

/** A device asks to be let in: see `docs/pairing-device.mjs`. */
async function askToPair(url, application) {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const pairing = `${url}v1/applications/${application}/pairing`;
  const challenge = await send({ method: "POST", url: `${pairing}/challenges` });
  const client = { id: "bench", mode: "cli", display_name: "Bench device", platform: "linux" };
  const [role, scopes] = ["operator", ["operator.read", "operator.write"]];
  const id = crypto.createHash("sha256").update(raw).digest("hex");
  const signed_at = Date.parse(challenge.server_time);
  const fields = ["v3", id, client.id, client.mode, role, scopes.join(","), signed_at, ""];
  const text = [...fields, challenge.nonce, client.platform, ""].join("|");
  const signature = crypto.sign(null, Buffer.from(text), privateKey).toString("base64url");
  const device = {
    id,
    public_key: raw.toString("base64url"),
    signed_at,
    nonce: challenge.nonce,
    signature,
  };
  const body = { device, client, role, scopes };
  await send({ method: "POST", url: `${pairing}/requests`, body });
}
