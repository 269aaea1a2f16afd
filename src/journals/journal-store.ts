/**
 * The tables of a journal, in its object's own SQLite: `events`, one row for an event and its first
 * deliveries, one more for each `DELIVERIES_IN_A_ROW` further ones; and `receivers`, the addresses that
 * deliveries name by a number. They are made with the first event: reading a journal that never was leaves
 * nothing behind.
 */
import type { Delivery, RecordedEvent, StoredDelivery } from "../events/delivery-record";
import { type DomainEvent, withHyphens } from "../events/event";
import type { EventType } from "../events/event-types";
import { hexOf, timeOfEventId } from "../events/journal-key";
import { newDelivery } from "../webhooks/delivery";
import { pack, unpack } from "./compressed-json";
import {
  isUndelivered,
  type PackedDelivery,
  packDelivery,
  type Receiver,
  unpackDelivery,
} from "./stored-delivery";

/**
 * How many deliveries are in one row. A row has room for 2 MB, and a delivery for 50 attempts with 1 KB of
 * the receiver's answer each, which may be three times as long in UTF-8.
 */
const DELIVERIES_IN_A_ROW = 8;

/** A row of the table of events. */
type Row = {
  id: ArrayBuffer;
  part: number;
  type: EventType;
  /** Null: the time in the id. */
  at: number | null;
  /** Null in rows with further deliveries. */
  data: ArrayBuffer | null;
  deliveries: ArrayBuffer | null;
};

/** This number stands for the `webhook_url` of the event's session, which has no row in `receivers`. */
const SESSION_URL = 0;

const COLUMNS = "id, part, type, at, data, deliveries";

/** Which events, in the order of their ids. Both bounds are ids, and are not part of the range. */
export interface EventRange {
  above: string | null;
  below: string | null;
  newestFirst: boolean;
  /** Only rows with a delivery that has not arrived and will not be tried again: an index finds them. */
  undelivered: boolean;
}

/** An event as it is read: its parts are unpacked only where somebody looks at them. */
export interface ReadEvent {
  id: string;
  type: EventType;
  /** The event with its deliveries: all; in a range of `undelivered` ones, only those in the rows found. */
  read(): RecordedEvent;
  /** Its deliveries alone. */
  deliveries(): StoredDelivery[];
}

export class JournalStore {
  readonly #sql: SqlStorage;
  readonly #organisationId: number;
  /** Whether the tables were seen: they stay until everything is removed. */
  #hasTables = false;
  /** By their number, from 1; null: not read yet. */
  #receivers: Receiver[] | null = null;

  constructor(sql: SqlStorage, organisationId: number) {
    this.#sql = sql;
    this.#organisationId = organisationId;
  }

  /** Whether an event was recorded here. */
  get exists(): boolean {
    this.#hasTables ||=
      this.#sql.exec("select 1 from sqlite_master where name = 'events'").toArray().length > 0;
    return this.#hasTables;
  }

  /** How much is stored, in bytes. */
  get bytes(): number {
    return this.#sql.databaseSize;
  }

  /** Forgets what it remembers of the tables: they were removed, or a transaction was undone. */
  forget(): void {
    this.#hasTables = false;
    this.#receivers = null;
  }

  /** Makes the tables, if they are not there. */
  createTables(): void {
    if (this.exists) return;
    this.#sql.exec(`create table events (id blob not null, part integer not null, type text not null,
      at integer, data blob, deliveries blob, undelivered integer, primary key (id, part)) without rowid`);
    this.#sql.exec("create index undelivered on events (id) where undelivered = 1");
    this.#sql.exec(
      "create table receivers (number integer primary key, endpoint_id text, url text, format text)",
    );
    this.#hasTables = true;
  }

  /**
   * Records an event. False: it was recorded before, and stays as it was. (An address that it would be owed to now
   * may get its number already.)
   */
  add(event: DomainEvent, deliveries: readonly StoredDelivery[]): boolean {
    const at = timeOfEventId(event.id) === event.at ? null : event.at;
    for (let part = 0; part === 0 || part * DELIVERIES_IN_A_ROW < deliveries.length; part++) {
      const some = deliveries.slice(part * DELIVERIES_IN_A_ROW, (part + 1) * DELIVERIES_IN_A_ROW);
      // The first row says whether there is such an event: that saves reading it before.
      const { rowsWritten } = this.#sql.exec(
        `insert into events (${COLUMNS}, undelivered) values (?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
        keyOf(event.id),
        part,
        event.type,
        at,
        part === 0 ? pack(event.data) : null,
        some.length === 0 ? null : this.#pack(some, event.at),
        some.some(isUndelivered) ? 1 : null,
      );
      if (rowsWritten === 0) return false;
    }
    return true;
  }

  /** A recorded event, or null. */
  find(eventId: string): RecordedEvent | null {
    if (!this.exists) return null;
    const rows = this.#rowsOf(eventId);
    return rows.length === 0 ? null : this.#toRead(rows).read();
  }

  /**
   * Changes deliveries of an event: one write for each row that changes.
   * @param change what a delivery becomes; null: it stays as it is
   */
  changeDeliveries(
    eventId: string,
    change: (delivery: StoredDelivery) => StoredDelivery | null,
  ): void {
    if (!this.exists) return;
    const rows = this.#rowsOf(eventId);
    for (const row of rows) {
      const before = this.#unpack(row);
      const after = before.map((delivery) => change(delivery) ?? delivery);
      if (after.every((delivery, i) => delivery === before[i])) continue;
      const [was, is] = [before.some(isUndelivered), after.some(isUndelivered)];
      // An update that names an indexed column writes its index entry, even if it stays the same.
      this.#sql.exec(
        `update events set deliveries = ?1 ${was === is ? "" : `, undelivered = ${is ? 1 : "null"}`}
          where id = ?2 and part = ?3`,
        this.#pack(after, timeOf(row)),
        row.id,
        row.part,
      );
    }
  }

  /** The events of a range, one after another, for as long as the caller goes on. */
  *scan({ above, below, newestFirst, undelivered }: EventRange): Generator<ReadEvent> {
    if (!this.exists) return;
    const order = newestFirst ? "desc" : "asc";
    const conditions = [
      undelivered ? "undelivered = 1" : "",
      above === null ? "" : "id > ?1",
      below === null ? "" : "id < ?2",
    ].filter((one) => one !== "");
    const cursor = this.#sql.exec<Row>(
      `select ${COLUMNS} from events ${undelivered ? "indexed by undelivered" : ""}
        where ${["?1 is ?1 and ?2 is ?2", ...conditions].join(" and ")}
        order by id ${order}, part ${order}`,
      above === null ? null : keyOf(above),
      below === null ? null : keyOf(below),
    );
    let rows: Row[] = [];
    for (const row of cursor) {
      if (rows[0] && idOf(rows[0]) !== idOf(row)) {
        yield this.#toRead(rows);
        rows = [];
      }
      rows.push(row);
    }
    if (rows.length > 0) yield this.#toRead(rows);
  }

  #rowsOf(eventId: string): Row[] {
    return this.#sql
      .exec<Row>(`select ${COLUMNS} from events where id = ? order by part`, keyOf(eventId))
      .toArray();
  }

  #toRead(rows: readonly Row[]): ReadEvent {
    const [first] = rows;
    if (!first) throw new Error("an event without a row");
    const id = idOf(first);
    const deliveries = () =>
      rows.flatMap((row) => this.#unpack(row)).sort((a, b) => (a.id < b.id ? -1 : 1));
    const read = () => {
      const data = rows.find((row) => row.data !== null)?.data;
      const event = { ...this.#envelope(first), data: data ? (unpack(data) as object) : {} };
      return { event, deliveries: deliveries() };
    };
    return { id, type: first.type, read, deliveries };
  }

  #envelope(row: Row) {
    return {
      id: idOf(row),
      organisationId: this.#organisationId,
      type: row.type,
      at: timeOf(row),
    };
  }

  #pack(deliveries: readonly StoredDelivery[], eventAt: number): ArrayBuffer {
    return pack(deliveries.map((one) => packDelivery(one, this.#numberOfReceiver(one), eventAt)));
  }

  #unpack(row: Row): StoredDelivery[] {
    if (row.deliveries === null) return [];
    const event = this.#envelope(row);
    return (unpack(row.deliveries) as PackedDelivery[]).map((packed) => {
      const [number] = packed;
      const receiver = number === SESSION_URL ? sessionReceiver(row) : this.#receiver(number);
      const delivery = newDelivery(event, receiver.format, receiver.url, receiver.endpointId);
      return unpackDelivery(packed, delivery, event.at);
    });
  }

  #readReceivers(): Receiver[] {
    this.#receivers = this.#sql
      .exec<Record<string, string | null>>(
        "select endpoint_id as endpointId, url, format from receivers order by number",
      )
      .toArray() as unknown as Receiver[];
    return this.#receivers;
  }

  #receiver(number: number): Receiver {
    const receiver = (this.#receivers ?? this.#readReceivers())[number - 1];
    if (!receiver) throw new Error(`no receiver has the number ${number}`);
    return receiver;
  }

  #numberOfReceiver({ endpointId, url, format }: Delivery): number {
    if (format === "relay-session") return SESSION_URL;
    const all = this.#receivers ?? this.#readReceivers();
    const index = all.findIndex(
      (one) => one.endpointId === endpointId && one.url === url && one.format === format,
    );
    if (index >= 0) return index + 1;
    all.push({ endpointId, url, format });
    this.#sql.exec(
      "insert into receivers (number, endpoint_id, url, format) values (?, ?, ?, ?)",
      all.length,
      endpointId,
      url,
      format,
    );
    return all.length;
  }
}

/** The `webhook_url` of the session that an event is about. Its delivery is in the row that has the event's data. */
function sessionReceiver({ data }: Row): Receiver {
  const { session } = unpack(data ?? new ArrayBuffer(0)) as { session: { webhookUrl: string } };
  return { endpointId: null, url: session.webhookUrl, format: "relay-session" };
}

function keyOf(eventId: string): ArrayBuffer {
  const hex = hexOf(eventId);
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes.buffer;
}

function idOf({ id }: Pick<Row, "id">): string {
  return withHyphens(Buffer.from(id).toString("hex"));
}

function timeOf(row: Row): number {
  return row.at ?? timeOfEventId(idOf(row));
}
