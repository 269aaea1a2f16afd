/**
 * The calls whose costs are counted, each with all that follows from it. `make` prepares what a run needs, without
 * being counted, and gives the call.
 */
import { WebSocket } from "ws";
import { FRAMES, REMOVED_TOGETHER } from "./costs.mjs";
import { PAIR } from "./fixtures.mjs";
import { until } from "./http-client.mjs";

/** So long after its end a session is in every case among those that are removed (`src/session/session-key.ts`). */
const LATER_MS = 2_400_000;

/**
 * @param fixtures of the counted server
 * @param receiver where webhooks go
 */
export function countedCalls(fixtures, receiver) {
  const { token } = fixtures;
  const sessions = "v1/relays/sessions";
  const authorization = (session_id) => ({ session_id, user_ip: "198.51.100.3" });
  const once = (method, path, body) => ({
    make: () => () => fixtures.call(method, path, body),
  });
  const onSession = (work, body = PAIR) => ({
    make: async () => {
      const session = await fixtures.createSession(body);
      return () => work(session);
    },
  });
  let paths = 0;
  return {
    "empty request": once("GET", "v1/ip"),
    "verify a key": once("POST", "v1/keys:verify", { token, permission: "relays:write" }),
    "create with 2 users": once("POST", sessions, PAIR),
    "get a relay session": onSession(({ session_id }) =>
      fixtures.call("GET", `${sessions}/${session_id}`),
    ),
    "authorize a user": onSession(({ session_id }) =>
      fixtures.call("POST", `${sessions}:authorize-user`, authorization(session_id)),
    ),
    "list, a page of 30": once("GET", `${sessions}?limit=30`),
    "list of 30 pending pairing requests": once(
      "GET",
      "v1/pairing/requests?status=pending&limit=30",
    ),
    "both users connect": {
      make: async () => {
        const session = await fixtures.createSession();
        return async () => {
          const sockets = await connect(session);
          return () => closeAll(sockets);
        };
      },
    },
    [`${FRAMES} frames each way`]: {
      make: async () => {
        const sockets = await connect(await fixtures.createSession());
        return async () => {
          await play(sockets);
          return () => closeAll(sockets);
        };
      },
    },
    "end a session": onSession(({ session_id }) =>
      fixtures.call("DELETE", `${sessions}/${session_id}`),
    ),
    "`:test` of a webhook": {
      make: async () => {
        const id = await fixtures.newEndpoint(receiver.url("test"), ["key.expiring"]);
        return async () => {
          await fixtures.call("POST", `v1/webhooks/endpoints/${id}:test`);
          return () => fixtures.call("DELETE", `v1/webhooks/endpoints/${id}`);
        };
      },
    },
    "create, with a webhook that arrives": {
      make: () => async () => {
        const path = `create-${++paths}`;
        await fixtures.createSession({ ...PAIR, webhook_url: receiver.url(path) });
        await until(() => receiver.count(path) === 1);
      },
    },
    "a life: create, both join, play, end; two webhooks": {
      make: () => async () => {
        const path = `life-${++paths}`;
        const body = { ...PAIR, webhook_url: receiver.url(path) };
        const session = await fixtures.createSession(body);
        await until(() => receiver.count(path) === 1);
        const sockets = await connect(session);
        await play(sockets);
        const closed = Promise.all(
          sockets.map((ws) => new Promise((done) => ws.once("close", done))),
        );
        await fixtures.call("DELETE", `${sessions}/${session.session_id}`);
        await closed;
        await until(() => receiver.count(path) === 2);
      },
    },
  };
}

/** What the cron job costs, in a deployment in which nothing else is due. */
export function countedCronJobs(fixtures) {
  const { server } = fixtures;
  return {
    "a minute of the cron job, with nothing due": {
      make: () => () => server.runCron(),
    },
    [`the removal of ${REMOVED_TOGETHER} lives`]: {
      // The run of the cron job itself is no part of it.
      less: "a minute of the cron job, with nothing due",
      make: async () => {
        for (let i = 0; i < REMOVED_TOGETHER; i++) {
          const { session_id } = await fixtures.createSession();
          await fixtures.call("DELETE", `v1/relays/sessions/${session_id}`);
        }
        return async () => {
          await removeEnded(fixtures);
          return () => server.setClockAhead(0);
        };
      },
    },
  };
}

/** Moves the clock on, and runs the cron job. */
async function removeEnded(fixtures) {
  const { server } = fixtures;
  const db = await server.mf.getD1Database("DB");
  await server.setClockAhead(LATER_MS);
  await server.runCron();
  const count = "select count(*) as n from sessions where ended > 0 and organisation_id = ?";
  await until(async () => (await db.prepare(count).bind(fixtures.id).first("n")) === 0);
}

/** The host and the client of a session, when both are in. */
export async function connect(session) {
  const { server, client } = session.relay.ports;
  return Promise.all(
    session.session_users.map((user, i) => {
      const tokens = `tokens.${session.authorization_token}.${user.authorization_token}`;
      const ws = new WebSocket((i === 0 ? server : client).link, ["drawbridge.v1", tokens]);
      return new Promise((resolve, reject) => {
        ws.once("message", () => resolve(ws));
        ws.once("close", (code) => reject(new Error(`the websocket was closed with ${code}`)));
      });
    }),
  );
}

/** Frames from the client to the host, each of which comes back. */
function play([host, client]) {
  host.on("message", (frame, isBinary) => isBinary && host.send(frame));
  let back = 0;
  const done = new Promise((resolve) => {
    client.on("message", (_, isBinary) => {
      if (isBinary && ++back === FRAMES) resolve();
    });
  });
  for (let i = 0; i < FRAMES; i++) client.send(Buffer.of(2, i));
  return done;
}

async function closeAll(sockets) {
  await Promise.all(
    sockets.map((ws) => {
      const closed = new Promise((done) => ws.once("close", done));
      ws.close();
      return closed;
    }),
  );
}
