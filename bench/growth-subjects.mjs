/**
 * What grows in a deployment, and the calls that must not become dearer with it. `make` makes one of a kind through
 * the API. `grow` copies its rows, `added` more than there are. `reads` are the calls. What needs preparing before a
 * call, without being counted, is in `prepare`, or in `make`, which then gives the call. `floor`: see `checkGrowth`.
 */

/** An id of the same moment as the one that is copied, so that retention finds it no older. */
const OF_SAME_TIME = "substr(id, 1, length(id) - 12) || printf('%012x', i)";
const PAGE = 30;
/** So many rows at most are read and skipped before a page by number: `src/db/numbered-pages.ts`. */
const SKIPPED_ROWS = 1_000;

const SESSIONS = "v1/relays/sessions";

/** A call with a key that the isolate has to read. */
function authentication({ server, list }) {
  return {
    "authentication, with a key that is not remembered": {
      prepare: () => server.forgetKeys(),
      call: () => list(`${SESSIONS}?limit=1`),
    },
  };
}

/** What backends do with relay sessions. */
function sessionCommands({ fixtures }) {
  const withSession = (work) => async () => {
    const { session_id } = await fixtures.createSession();
    return () => work(session_id);
  };
  const user = (session_id) => ({ session_id, user_ip: "198.51.100.3" });
  return {
    create: { call: () => fixtures.createSession() },
    authorize: {
      make: withSession((id) => fixtures.call("POST", `${SESSIONS}:authorize-user`, user(id))),
    },
    end: { make: withSession((id) => fixtures.call("DELETE", `${SESSIONS}/${id}`)) },
  };
}

export const SUBJECTS = {
  "live relay sessions": {
    make: ({ fixtures }) => fixtures.createSession(),
    async grow({ copy, run }, added) {
      const id = "printf('%012x-S', i)";
      await copy("sessions", "kind = 'relay' and ended = 0", {
        id,
        created_at: "created_at - i",
        state: `json_set(state, '$.id', ${id}, '$.createdAt', created_at - i)`,
        sweep_at: "sweep_at + 3600000",
      });
      await run("update session_counts set live = live + ?", added);
    },
    reads: (at, count) => ({
      "the first page": { call: () => at.list(`${SESSIONS}?limit=${PAGE}`) },
      "the last page, by its number": {
        floor: SKIPPED_ROWS + PAGE,
        call: () => at.list(`${SESSIONS}?limit=${PAGE}&page=${Math.ceil(count / PAGE)}`),
      },
      ...sessionCommands(at),
    }),
  },
  "source sessions": {
    async make({ fixtures }) {
      const { id: user } = await fixtures.call("POST", "users", { identifier: "bench" });
      const source = { user, type: "mocks.mock", identifier: "bench" };
      await fixtures.call("POST", "sessions", { source, payload: { password: "abcd1234" } });
    },
    async grow({ copy, run }, added) {
      await copy("sessions", "kind = 'source' and ended = 0", {
        id: OF_SAME_TIME,
        created_at: "created_at - i",
        state: `json_set(state, '$.id', ${OF_SAME_TIME}, '$.createdAt', created_at - i)`,
        sweep_at: "null",
      });
      await run(
        "update session_counts set live = live + ?1, total = total + ?1 where kind = 'source'",
        added,
      );
    },
    reads: (at) => ({
      "the first page": { call: () => at.list(`sessions?limit=${PAGE}`) },
      "a page after a session": {
        make: async () => {
          // Only the newest has an object, which says when it was made.
          const { data } = await at.list("sessions?limit=1");
          return () => at.list(`sessions?limit=${PAGE}&after_id=${data[0].id}`);
        },
      },
    }),
  },
  "API keys": {
    async grow({ fixtures, copy }) {
      const own = { id: "id + 1000 + i", name: "'Copy ' || i", name_folded: "'copy ' || i" };
      own.token_short = "'drb_' || i";
      await copy("api_keys", "id = (select min(id) from api_keys)", own);
      const keyId = { key_id: "key_id + 1000 + i" };
      await copy("organisation_keys", `organisation_id = ${fixtures.id}`, keyId);
      await copy("key_tokens", "key_id = (select min(key_id) from key_tokens)", {
        ...keyId,
        digest: "'copy-' || i",
      });
    },
    reads: (at, count) => ({
      "the first page": { call: () => at.list(`api-keys?limit=${PAGE}`) },
      "the last page": {
        call: () => at.list(`api-keys?limit=${PAGE}&after=${1_000 + count - PAGE}`),
      },
      "a search that finds nothing": {
        // It looks at 500 keys for one page: three rows each.
        floor: 1_500,
        call: () => at.list(`api-keys?limit=${PAGE}&name=nobody`),
      },
      ...authentication(at),
    }),
  },
  "connections and relay permissions": {
    async make({ fixtures }) {
      for (const connectionId of ["plant-a", "plant-b"]) {
        await fixtures.call("POST", "connections/definition", { connectionId });
      }
      const remote = { connectionId: "plant-a", remoteConnectionId: "plant-b" };
      await fixtures.call("POST", "relay/permission", { ...remote, direction: "send" });
    },
    async grow({ copy, run }, added) {
      const connectionId = { connection_id: "printf('copy-%09d', i)" };
      await copy("connections", "connection_id = 'plant-a'", connectionId);
      await copy("relay_permissions", "connection_id = 'plant-a'", connectionId);
      await run("update connection_counts set registered = registered + ?", added);
      await run(
        "update relay_permission_counts set send_enabled = send_enabled + ? where side = 'all'",
        added,
      );
    },
    reads: (at, count) => {
      const lastPage = `maxResults=${PAGE}&startIndex=${count - PAGE}`;
      return {
        "the first page of connections": {
          call: () => at.list(`connections/definition?maxResults=${PAGE}`),
        },
        "the last page of connections, by `startIndex`": {
          floor: SKIPPED_ROWS + PAGE,
          call: () => at.list(`connections/definition?${lastPage}`),
        },
        "the first page of permissions": {
          call: () => at.list(`relay/permission?maxResults=${PAGE}`),
        },
        "the last page of permissions, by `startIndex`": {
          floor: SKIPPED_ROWS + PAGE,
          call: () => at.list(`relay/permission?${lastPage}`),
        },
      };
    },
  },
  "pending pairing requests": {
    make: ({ fixtures }) => fixtures.addPendingRequests(1),
    grow: ({ copy }) => copy("pairing_requests", "status = 'pending'", { id: OF_SAME_TIME }),
    reads: (at) => ({
      "the first page, of the organisation": {
        call: () => at.list(`v1/pairing/requests?status=pending&limit=${PAGE}`),
      },
      "the first page, of any status": { call: () => at.list(`v1/pairing/requests?limit=${PAGE}`) },
    }),
  },
  devices: {
    async make({ fixtures }) {
      await fixtures.addPendingRequests(1);
      const { data } = await fixtures.call("GET", "v1/pairing/requests?status=pending");
      const [{ application_id: application, pair_request_id: id }] = data;
      const requests = `v1/applications/${application}/pairing/requests`;
      await fixtures.call("POST", `${requests}/${id}:approve`, {});
      this.application = application;
    },
    async grow({ copy }) {
      await copy("devices", "removed = 0", {
        id: "printf('%064x', i)",
        created_at: "created_at - i",
      });
      await copy("pairing_requests", "status = 'approved'", { id: OF_SAME_TIME });
    },
    reads(at) {
      const devices = `v1/applications/${this.application}/devices?limit=${PAGE}`;
      return {
        "the first page": { call: () => at.list(devices) },
        "the page after it": {
          make: async () => {
            const { next_cursor } = await at.list(devices);
            return () => at.list(`${devices}&cursor=${encodeURIComponent(next_cursor)}`);
          },
        },
        "the first page of their requests": {
          call: () => at.list(`v1/pairing/requests?status=approved&limit=${PAGE}`),
        },
      };
    },
  },
  organisations: {
    grow: ({ copy }) =>
      copy("organisations", "id = (select min(id) from organisations)", { id: "id + 1000 + i" }),
    reads: (at) => ({
      "the first page": { call: () => at.asRoot(`v1/organisations?limit=${PAGE}`) },
      ...authentication(at),
    }),
  },
  "events of a day": {
    make: ({ fixtures }) => fixtures.createSession(),
    grow: ({ fixtures, server }, _added, range) => server.copyEvents(fixtures.id, range),
    reads: (at) => ({
      "the first page": { call: () => at.list(`v1/events?limit=${PAGE}`) },
      "the page after it": {
        make: async () => {
          const { next_cursor } = await at.list(`v1/events?limit=${PAGE}`);
          return () => at.list(`v1/events?limit=${PAGE}&cursor=${encodeURIComponent(next_cursor)}`);
        },
      },
      ...sessionCommands(at),
    }),
  },
};
