/**
 * The calls that are measured beside reference Workers (`references/`), and the part of each limit that they are
 * to reach (`aim`). The first limit of a call is run twice, as its own control.
 */
import { PAIR } from "./fixtures.mjs";
import { send, sideBySide } from "./http-client.mjs";

const LISTED = 30;
const SESSIONS = 40;
/** How many users are added to a session before another one is taken: few, since each makes its state larger. */
const USERS_OF_A_SESSION = 10;

/** Sessions of one server. `create` makes one, and gives its id. */
class Sessions {
  #ids = [];
  #create;

  constructor(create) {
    this.#create = create;
  }

  /** Makes sure that there are so many. */
  async prepare(count) {
    const missing = Math.max(0, count - this.#ids.length);
    await sideBySide(missing, 8, async () => this.#ids.push(await this.#create()));
  }

  at(i) {
    return this.#ids[i];
  }
}

/**
 * Makes what the calls need, on each server.
 * @param fixtures of the Drawbridge that is measured
 * @param servers `references`: with reference Workers. `others`: with other versions of Drawbridge; they get the
 *   same organisation and key
 * @returns the calls. `toRequest(server)` gives a function from the number of a call to its request. `prepare`
 *   makes what the next calls need
 */
export async function comparedCalls(fixtures, { references, others }, receiverUrl) {
  const { id, token, headers, server: drawbridge } = fixtures;
  const request = (server, path, method, body) => ({
    method,
    url: `${server.url}${path}`,
    headers,
    body,
  });
  const creations = new Map([drawbridge, ...others].map((one) => [one, "v1/relays/sessions"]));
  for (const reference of references) creations.set(reference, "create");
  const newSessions = () =>
    new Map(
      [...creations].map(([server, path]) => [
        server,
        new Sessions(async () => (await send(request(server, path, "POST", PAIR))).session_id),
      ]),
    );
  const [read, authorized] = [newSessions(), newSessions()];
  await read.get(drawbridge).prepare(SESSIONS);
  await fixtures.addPendingRequests(LISTED);
  const endpoint = await fixtures.newEndpoint(receiverUrl, ["key.expiring"]);
  for (const server of [...others, ...references]) {
    await fixtures.copyTo(server);
    await read.get(server).prepare(SESSIONS);
  }

  /** A call that is the same each time. */
  const same = (path, method, body) => ({
    toRequest: (server) => () => request(server, path, method, body),
  });
  const readAt = (path) => ({
    toRequest: (server) => (i) => request(server, path + read.get(server).at(i % SESSIONS)),
  });
  const authorizeAt = (path) => ({
    prepare: (server, first, count) =>
      authorized.get(server).prepare(Math.ceil((first + count) / USERS_OF_A_SESSION)),
    toRequest: (server) => (i) => {
      const session_id = authorized.get(server).at(Math.floor(i / USERS_OF_A_SESSION));
      return request(server, path, "POST", { session_id, user_ip: "198.51.100.3" });
    },
  });
  const question = { token, permission: "relays:write" };
  return [
    {
      name: "empty request (`GET /v1/ip`)",
      drawbridge: same("v1/ip"),
      limits: [
        { name: "bare", aim: 0.8, ...same("empty") },
        { name: "bare Hono", ...same("hono") },
        { name: "by hand, with the same answer", ...same("empty-answered") },
      ],
    },
    {
      name: "verify a key (`POST /v1/keys:verify`)",
      drawbridge: same("v1/keys:verify", "POST", question),
      limits: [
        { name: "by hand, with the same checks", aim: 0.85, ...same("verify", "POST", question) },
        { name: "an empty request", aim: 0.5, ...same("empty") },
      ],
    },
    {
      name: "get a relay session",
      drawbridge: readAt("v1/relays/sessions/"),
      limits: [
        { name: "one object read", aim: 0.8, ...readAt(`read/${id}/`) },
        { name: "by hand, with the same checks", ...readAt("read-checked/") },
      ],
    },
    // Before the calls that make sessions and add users: a page has what was made above.
    {
      name: `list, a page of ${LISTED}`,
      drawbridge: same(`v1/relays/sessions?limit=${LISTED}`),
      limits: [
        { name: "the same page of D1", aim: 0.65, ...same(`list-sessions/${id}`) },
        { name: "by hand, with the same checks", ...same("list-sessions-checked") },
      ],
    },
    {
      name: `list of ${LISTED} pending pairing requests`,
      drawbridge: same(`v1/pairing/requests?status=pending&limit=${LISTED}`),
      limits: [
        { name: "the same page of D1", aim: 0.65, ...same(`list-pending/${id}`) },
        { name: "by hand, with the same checks", ...same("list-pending-checked") },
      ],
    },
    {
      name: "create with 2 users",
      drawbridge: same("v1/relays/sessions", "POST", PAIR),
      limits: [
        { name: "the same primitives by hand", aim: 0.95, ...same("create", "POST", PAIR) },
        { name: "by hand, with the same checks", ...same("create-guarded", "POST", PAIR) },
      ],
    },
    {
      name: "authorize a user",
      drawbridge: authorizeAt("v1/relays/sessions:authorize-user"),
      limits: [{ name: "the same primitives by hand", aim: 0.85, ...authorizeAt("authorize") }],
    },
    {
      name: "`:test` of a webhook",
      drawbridge: same(`v1/webhooks/endpoints/${endpoint}:test`, "POST"),
      limits: [
        { name: "one signed POST", aim: 0.5, ...same("test", "POST", { url: receiverUrl }) },
        { name: "by hand, with the same checks", ...same(`test-checked/${endpoint}`, "POST") },
      ],
    },
  ];
}
