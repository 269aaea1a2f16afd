/** A session and a journal by hand: the same writes, of the same rows, in the same objects. */
import { DurableObject } from "cloudflare:workers";

const IDLE_MS = 300_000;

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
}
