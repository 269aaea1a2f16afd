/**
 * Counts what is billed, where it happens: requests, calls of objects, messages on websockets, rows, operations
 * of queues, lines of the log. An object's key-value calls and its alarm count a row each, as they are billed
 * (pricing of Durable Objects, November 2026). `test/support/rows.ts` listens at the same places.
 */

/** All since the start. `running` and `queued` are what is under way now. */
export const counts = {
  requests: 0,
  objectCalls: 0,
  socketMessages: 0,
  d1Calls: 0,
  d1Read: 0,
  d1Written: 0,
  objectRead: 0,
  objectWritten: 0,
  queueOperations: 0,
  logLines: 0,
  posts: 0,
  running: 0,
  queued: 0,
};

const { log, warn, error } = console;
for (const [name, write] of Object.entries({ log, warn, error })) {
  console[name] = (...args) => {
    counts.logLines += 1;
    write(...args);
  };
}

const realFetch = globalThis.fetch;
globalThis.fetch = (...args) => {
  counts.posts += 1;
  return realFetch(...args);
};

/** Runs a handler, which counts as under way until it is over. */
async function during(work) {
  counts.running += 1;
  try {
    return await work();
  } finally {
    counts.running -= 1;
  }
}

/** Counts the calls of a class of objects: a method that is called over RPC, a request, an alarm. */
export function countMethods(counted, original) {
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(original))) {
    if (name === "constructor" || typeof value !== "function") continue;
    // How a socket ends is not billed, and its messages are a twentieth of a call each.
    const what = { webSocketMessage: "socketMessages", webSocketClose: null, webSocketError: null };
    const counter = name in what ? what[name] : "objectCalls";
    Object.defineProperty(counted, name, {
      value(...args) {
        if (counter) counts[counter] += 1;
        return during(() => Reflect.apply(value, this, args));
      },
    });
  }
}

/** Counts what the platform calls: requests, and the messages of queues. */
export function countHandlers({ fetch, queue, ...rest }) {
  return {
    ...rest,
    fetch(request, env, ctx) {
      listenToD1(env.DB);
      listenToQueue(env.DELIVERIES);
      counts.requests += 1;
      return during(() => fetch(request, env, ctx));
    },
    async queue(batch, env, ctx) {
      await during(() => queue(batch, env, ctx));
      // Each message is read and deleted. (One that is tried again is read once more, and counts so here.)
      counts.queueOperations += 2 * batch.messages.length;
      counts.queued -= batch.messages.length;
    },
  };
}

const heard = new Set();

/** Whether this is the first time that this prototype is seen. All objects of a class share it. */
function isNew(prototype) {
  if (heard.has(prototype)) return false;
  heard.add(prototype);
  return true;
}

/** Has each call of a method tell its answer. */
function after(target, name, tell) {
  const method = target[name];
  if (!method) throw new Error(`the runtime has no ${name} any more`);
  target[name] = function (...args) {
    const answer = method.apply(this, args);
    if (!(answer instanceof Promise)) {
      tell(answer, args);
      return answer;
    }
    return during(async () => {
      const value = await answer;
      tell(value, args);
      return value;
    });
  };
}

/** Counts the calls of D1, and their rows. */
export function listenToD1(db) {
  const session = Object.getPrototypeOf(db.withSession());
  if (!isNew(session)) return;
  after(session, "_send", (answer) => {
    counts.d1Calls += 1;
    for (const { meta } of [answer].flat()) {
      counts.d1Read += meta.rows_read;
      counts.d1Written += meta.rows_written;
    }
  });
}

/** Counts messages that are sent, on all queues. */
function listenToQueue(queue) {
  const all = Object.getPrototypeOf(queue);
  if (!isNew(all)) return;
  const sent = (count) => {
    counts.queueOperations += count;
    counts.queued += count;
  };
  after(all, "send", () => sent(1));
  after(all, "sendBatch", (_, [messages]) => sent([...messages].length));
}

/** Counts the rows of objects. */
export function listenToStorage(storage) {
  const all = Object.getPrototypeOf(storage);
  if (!isNew(all)) return;
  const read = () => {
    counts.objectRead += 1;
  };
  const written = () => {
    counts.objectWritten += 1;
  };
  const kv = Object.getPrototypeOf(storage.kv);
  after(kv, "get", read);
  after(kv, "put", written);
  after(kv, "delete", written);
  after(all, "getAlarm", read);
  after(all, "setAlarm", written);
  after(all, "deleteAll", written);
  // A cursor reads while it is gone through.
  after(Object.getPrototypeOf(storage.sql), "exec", (cursor) => {
    counts.objectWritten += cursor.rowsWritten;
    noteRead(cursor);
  });
  listenToCursors(Object.getPrototypeOf(storage.sql.exec("select 1")));
}

const known = new WeakMap();

function noteRead(cursor) {
  counts.objectRead += cursor.rowsRead - (known.get(cursor) ?? 0);
  known.set(cursor, cursor.rowsRead);
}

function listenToCursors(cursors) {
  const { toArray } = cursors;
  cursors.toArray = function () {
    const rows = toArray.call(this);
    noteRead(this);
    return rows;
  };
  const iterate = cursors[Symbol.iterator];
  cursors[Symbol.iterator] = function* () {
    const rows = iterate.call(this);
    for (let next = rows.next(); !next.done; next = rows.next()) {
      noteRead(this);
      yield next.value;
    }
    noteRead(this);
  };
}
