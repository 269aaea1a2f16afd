/** A session and a journal by hand: the same writes, of the same rows, in the same objects. */

import { DurableObject } from "cloudflare:workers";
import { deflateRawSync } from "node:zlib";

const IDLE_MS = 300_000;
/** How long a caller waits for what follows, and how long that waits for a journal or D1. */
const [CALLER_MS, CALL_MS] = [2_000, 10_000];

const IS = "organisation_id = ?1 and kind = 'relay' and created_at = ?2 and id = ?3";
/** Whether there is no row: neither a live one nor one that has ended, in the slot of these minutes. */
const IS_NEW = [0, 1, 2, 3]
  .map((ended) => `not exists (select 1 from sessions where ${IS} and ended = ${ended})`)
  .join(" and ");
const COUNT_ONCE = `insert into session_counts select ?1, 'relay', 1, 0 where ${IS_NEW}
  on conflict do update set live = live + 1`;
const INSERT_ONCE = `insert into sessions
  (organisation_id, kind, created_at, id, ended, version, announced, sweep_at, state)
  select ?1, 'relay', ?2, ?3, 0, 1, 1, ?4, ?5 where ${IS_NEW}
  on conflict (kind, ended, organisation_id, created_at, id) do update
  set version = excluded.version, state = excluded.state where excluded.version > sessions.version`;

/** One value and an alarm, as Drawbridge's own. It writes its row of D1 itself. */
export class ReferenceSession extends DurableObject {
  #session = this.ctx.storage.kv.get("session") ?? null;

  read(organisationId) {
    return this.#session?.organisationId === organisationId ? this.#session : null;
  }

  async create(session) {
    if (this.#session) return null;
    const event = {
      id: crypto.randomUUID(),
      type: "session.active",
      at: session.createdAt,
      session,
    };
    // One write: the state, with the event that is owed. Then the alarm.
    this.ctx.storage.kv.put("session", { ...session, owed: [event] });
    this.ctx.storage.setAlarm(session.createdAt + IDLE_MS);
    this.#session = session;
    await this.#journal().record([event]);
    await this.env.DB.batch([
      this.env.DB.prepare(
        `insert into session_counts values (?, 'relay', 1, 0)
          on conflict do update set live = live + 1`,
      ).bind(session.organisationId),
      this.env.DB.prepare(
        `insert into sessions (organisation_id, kind, ended, created_at, id, version, announced, sweep_at, state)
          values (?, 'relay', 0, ?, ?, 1, 1, ?, ?)`,
      ).bind(
        session.organisationId,
        session.createdAt,
        session.id,
        session.expiresAt,
        JSON.stringify(session),
      ),
    ]);
    return session;
  }

  /** As `create`, but nothing is done twice or waited for without an end. */
  async createGuarded(session) {
    if (this.#session) return null;
    const at = session.createdAt;
    const event = { id: crypto.randomUUID(), type: "session.active", at, session };
    this.ctx.storage.kv.put("session", { ...session, owed: [event] });
    this.ctx.storage.setAlarm(at + IDLE_MS);
    this.#session = session;
    const announced = this.#announce(event);
    this.ctx.waitUntil(announced);
    await within(CALLER_MS, announced).catch(() => {});
    return session;
  }

  async #announce(event) {
    const { createdAt, organisationId, id, expiresAt } = this.#session;
    await within(CALL_MS, this.#journal().recordOnce([event]));
    const [count, insert] = [COUNT_ONCE, INSERT_ONCE].map((sql) => this.env.DB.prepare(sql));
    const state = JSON.stringify(this.#session);
    const written = this.env.DB.batch([
      count.bind(organisationId, createdAt, id),
      insert.bind(organisationId, createdAt, id, expiresAt, state),
    ]);
    await within(CALL_MS, written);
  }

  async authorize(organisationId, user, now) {
    const before = this.read(organisationId);
    if (before === null || before.users.length >= before.maxUsers) return null;
    const n = before.nextUser;
    const session = {
      ...before,
      version: before.version + 1,
      nextUser: n + 1,
      users: [...before.users, { ...user, n, draw: 0 }],
    };
    const event = { id: crypto.randomUUID(), type: "session.user_authorized", at: now, session };
    this.ctx.storage.kv.put("session", { ...session, owed: [event] });
    this.#session = session;
    await this.#journal().record([event]);
    const { version, createdAt, id } = session;
    await this.env.DB.prepare(
      `update sessions set version = ?1, announced = ?1, state = ?2
        where organisation_id = ?3 and kind = 'relay' and ended = 0 and created_at = ?4 and id = ?5
        and version < ?1`,
    )
      .bind(version, JSON.stringify(session), organisationId, createdAt, id)
      .run();
    return session;
  }

  alarm() {}

  #journal() {
    const day = new Date().toISOString().slice(0, 10);
    return this.env.ReferenceJournal.getByName(`${this.#session.organisationId}/${day}`);
  }
}

/** A row for each event. */
export class ReferenceJournal extends DurableObject {
  #sql = this.ctx.storage.sql;

  constructor(ctx, env) {
    super(ctx, env);
    this.#sql.exec(
      "create table if not exists events (id text primary key, type text, at int, data text) without rowid",
    );
  }

  record(events) {
    for (const { id, type, at, ...data } of events) {
      this.#sql.exec(
        "insert or ignore into events values (?, ?, ?, ?)",
        id,
        type,
        at,
        JSON.stringify(data),
      );
    }
  }

  /** All of them or none, each once, and compressed. */
  recordOnce(events) {
    this.ctx.storage.transactionSync(() => {
      for (const { id, type, at, ...data } of events) {
        const plain = Buffer.from(JSON.stringify(data));
        this.#sql.exec(
          "insert into events values (?, ?, ?, ?) on conflict do nothing",
          id,
          type,
          at,
          deflateRawSync(plain, { dictionary: DICTIONARY, level: 9 }),
        );
      }
    });
  }
}

/** What events are made of. */
const DICTIONARY = Buffer.from(
  '{"session":{"id":"-S","kind":"relay","organisationId":1,"keyId":1,"status":"active","version":1,"createdAt":17,"expiresAt":17,"idleSeconds":300,"maxUsers":64,"webhookUrl":null,"metadata":null,"region":null,"nextUser":2,"users":[{"n":0,"draw":0,"ip":"192.","connectionId":null,"deviceId":null},{"n":1,"draw":0,"ip":"192.","connectionId":null,"deviceId":null}]}}',
);

async function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
