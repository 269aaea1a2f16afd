/**
 * `npm run demo`, beside a running `npm start`: the main job, for a person to watch. A host and
 * two clients meet in a session, talk, one is let in and one thrown out, and the end is announced
 * by a signed webhook. With a relay node (`RELAY_NODE=1 npm start`), a second part plays over UDP. Exits 0
 * only if every step did what it should.
 *
 * By default it uses what `npm start` made: PORT and DRAWBRIDGE_STATE have to be the same as there. For
 * another service, DRAWBRIDGE_URL names it, and DRAWBRIDGE_KEY is an API key of it.
 */

import { createServer } from "node:http";
import { performance } from "node:perf_hooks";
import { buildClient } from "./build-client.mjs";
import { fail, isInstalled, readOptions, readOrganisation, runNode } from "./setup.mjs";

readOptions(
  {},
  "The variables of the environment PORT and DRAWBRIDGE_STATE have to be the same as for `npm start`. " +
    "DRAWBRIDGE_URL and DRAWBRIDGE_KEY name another service and an API key of it.",
);
// It installs nothing, as the other scripts would: the first `npm start` may just be doing so.
if (!isInstalled()) fail("Run `npm start` first, in another terminal, and wait until it is ready.");
if (!globalThis.WebSocket) {
  // This is an older Node: start again with the one that has a WebSocket.
  const { code } = await runNode([process.argv[1]]);
  process.exit(code);
}
const { Webhook } = await import("standardwebhooks");
await buildClient();
const { Participant, WAIT_MS, within } = await import("./participant.mjs");
const { UdpParticipant } = await import("./udp-participant.mjs");

/** A delivery goes through a queue, and its first attempt may be made again after 5 s. */
const WEBHOOK_WAIT_MS = 30_000;

const localUrl = `http://localhost:${process.env.PORT || 8787}`;
const baseUrl = (process.env.DRAWBRIDGE_URL || localUrl).replace(/\/$/, "");
const organisation = readOrganisation();
const key = process.env.DRAWBRIDGE_KEY || organisation?.api_key;
if (!key) {
  fail(
    "No API key. Run `npm start` first, in another terminal, with the same DRAWBRIDGE_STATE as here, or " +
      "set DRAWBRIDGE_KEY.",
  );
}

const started = performance.now();
const webhooks = [];
const wakeOnWebhook = new Set();
let receiver;

try {
  await play();
  console.log(`\nAll of it worked, in ${Math.round(performance.now() - started)} ms.`);
  process.exit(0);
} catch (error) {
  console.log(`  FAILED      ${error.message}`);
  process.exit(1);
}

async function play() {
  console.log(`Drawbridge at ${baseUrl}\n`);
  const secret = await step("the organisation's webhook secret", findWebhookSecret);
  const webhookUrl = await step("a receiver of webhooks listens", () => startReceiver(secret));

  const session = await step("a session for a host and two clients", () =>
    createSession(webhookUrl),
  );
  const [hostUser, annaUser, benUser] = session.session_users;
  // On a relay node the ports are UDP, and the websockets stand beside them.
  const { server, client } = session.relay.websocket ?? session.relay.ports;
  const open = (name, link, userToken) =>
    Participant.connect(name, link, session.authorization_token, userToken);

  const host = await step("the host connects: ready", () =>
    open("host", server.link, hostUser.authorization_token),
  );
  const anna = await step("Anna connects: ready, and the host is told", () =>
    join(host, open("Anna", client.link, annaUser.authorization_token)),
  );
  const ben = await step("Ben connects: ready, and the host is told", () =>
    join(host, open("Ben", client.link, benUser.authorization_token)),
  );

  await step("Anna → host: a message with Anna's connection id", async () => {
    anna.say("good evening");
    await host.got("good evening", anna.id);
  });
  await step("host → Ben: a message for Ben alone", async () => {
    host.say("welcome", ben.id);
    await ben.got("welcome", null);
  });
  await step("host → all: a broadcast", async () => {
    host.connection.broadcast(Buffer.from("let us begin"));
    await Promise.all([anna, ben].map((client) => client.got("let us begin", null)));
    // It came after whatever else there was for Anna, so this needs no waiting for nothing.
    expect(anna.messages === 1, "one message at Anna's", `${anna.messages} messages`);
  });

  const cleo = await step("a further user, Cleo, is authorised and connects", async () => {
    const { session_user: user } = await api("POST", "/v1/relays/sessions:authorize-user", 200, {
      session_id: session.session_id,
      user_ip: "198.51.100.4",
    });
    return join(host, open("Cleo", client.link, user.authorization_token));
  });
  const dora = await step(`Dora joins with the code ${session.join_code}, no key`, async () => {
    const ticket = await api("POST", "/v1/relays/join", 200, { join_code: session.join_code }, "");
    return join(
      host,
      Participant.connect("Dora", ticket.link, ticket.session_token, ticket.user_token),
    );
  });

  await step("Anna is revoked: closed with 4403, and the host is told", async () => {
    await api("POST", "/v1/relays/sessions:revoke-user", 200, {
      session_id: session.session_id,
      authorization_token: annaUser.authorization_token,
    });
    await anna.closedWith(4403);
    await host.event("peerleft", ({ connectionId }) => connectionId === anna.id);
  });
  await step("Anna's token opens nothing any more", async () => {
    const refusal = await open("Anna", client.link, annaUser.authorization_token).catch(
      (error) => error,
    );
    expect(refusal.closeCode === 4401, "the connection to be refused with 4401", refusal);
  });

  await step("the session is deleted: all are closed with 4410", async () => {
    await api("DELETE", `/v1/relays/sessions/${session.session_id}`, 204);
    await Promise.all([host, ben, cleo, dora].map((participant) => participant.closedWith(4410)));
    await api("GET", `/v1/relays/sessions/${session.session_id}`, 404);
  });
  await step("webhook session.active: READY, signature verified", () =>
    webhook(session.session_id, "READY"),
  );
  await step("webhook session.expired: Ended, signature verified", () =>
    webhook(session.session_id, "Ended"),
  );
  if (session.relay.ports.server.protocol === "UDP") await playOverUdp(webhookUrl);
  else console.log("\nThere is no relay node: `RELAY_NODE=1 npm start` has one, for UDP.");
}

/** What a native game does: datagrams, with the tokens in each. One of the players is in a browser. */
async function playOverUdp(webhookUrl) {
  console.log("\nThe same over UDP, on a relay node\n");
  const session = await step("a session that is READY on a relay node", () =>
    createSession(webhookUrl),
  );
  const { ports, websocket } = session.relay;
  const [hostUser, annaUser, benUser] = session.session_users;
  const open = (name, { port }, user) =>
    UdpParticipant.open(
      name,
      { host: session.relay.host, port },
      session.authorization_token,
      user.authorization_token,
    );
  const host = await step(`the host pings ${ports.server.link}: valid`, async () => {
    const participant = await open("host", ports.server, hostUser);
    await participant.state(2);
    return participant;
  });
  const anna = await step(
    `Anna → host: data to ${ports.client.link}, before any ping`,
    async () => {
      const participant = await open("Anna", ports.client, annaUser);
      await participant.toHost(host, 1, "good evening");
      return participant;
    },
  );
  await step("host → Anna: a datagram for Anna alone", () => host.toClient(anna, 1, "welcome"));
  const ben = await step("Ben plays in a browser, with a websocket", () =>
    Participant.connect(
      "Ben",
      websocket.client.link,
      session.authorization_token,
      benUser.authorization_token,
    ),
  );
  await step("Ben hears that the host is there, and they talk", async () => {
    await ben.event("hostjoined");
    await host.toClient(ben, 2, "hello browser");
    ben.say("hello UDP");
    await host.got("hello UDP", 2);
  });
  await step("Anna is revoked: her next ping is answered invalid", async () => {
    await api("POST", "/v1/relays/sessions:revoke-user", 200, {
      session_id: session.session_id,
      authorization_token: annaUser.authorization_token,
    });
    await anna.state(3);
  });
  await step("the session is deleted: the host's next ping is answered invalid", async () => {
    await api("DELETE", `/v1/relays/sessions/${session.session_id}`, 204);
    await host.state(3);
    await ben.closedWith(4410);
  });
  for (const participant of [host, anna]) participant.close();
}

/** Runs one step and prints what it took; its error says what was expected instead. */
async function step(name, run) {
  const start = performance.now();
  try {
    const result = await run();
    const took = `${Math.round(performance.now() - start)} ms`;
    console.log(`  ok ${took.padStart(8)} ${name}`);
    return result;
  } catch (error) {
    throw new Error(`${name}: ${error.message}`, { cause: error });
  }
}

function expect(condition, expected, actual) {
  if (!condition) throw new Error(`expected ${expected}, but got ${actual}`);
}

/**
 * One call of the API; resolves to the body of its answer. The error has the `status` of the answer, if
 * there was one.
 */
async function api(method, path, expectedStatus, body = undefined, token = key) {
  let response;
  try {
    response = await fetch(baseUrl + path, {
      method,
      headers: token ? { authorization: `token ${token}` } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(WAIT_MS),
    });
  } catch (error) {
    const problem = error.cause?.message || error.cause?.code || error.message;
    throw new Error(
      `${method} ${baseUrl}${path}: ${problem}. Is it running? \`npm start\` says at which port it is: set ` +
        "PORT to that, or DRAWBRIDGE_URL to the address of the service.",
    );
  }
  const text = await response.text();
  const { status } = response;
  if (status !== expectedStatus) {
    const problem = `expected ${method} ${path} to answer ${expectedStatus}, but got ${status} ${text}`;
    throw Object.assign(new Error(problem), { status });
  }
  return text === "" ? undefined : JSON.parse(text);
}

/**
 * Asked for, since it may have been rotated. If the service answers that it will not say, it is what
 * `npm start` remembered.
 */
async function findWebhookSecret() {
  try {
    return (await api("GET", "/v1/webhooks/secret", 200)).secret;
  } catch (error) {
    if (error.status && key === organisation?.api_key) return organisation.webhook_secret;
    throw error;
  }
}

/** Answers 204 to what is signed with the secret, and 401 to anything else. */
function startReceiver(secret) {
  const verifier = new Webhook(secret);
  receiver = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      webhooks.push(verifier.verify(Buffer.concat(chunks).toString(), request.headers));
      response.writeHead(204).end();
    } catch (error) {
      webhooks.push({ refused: error.message });
      response.writeHead(401).end();
    }
    for (const wake of wakeOnWebhook) wake();
  });
  return within("a free port", (done, give) => {
    receiver.once("error", (error) => give(error.message));
    receiver.listen(0, "127.0.0.1", () =>
      done(`http://127.0.0.1:${receiver.address().port}/session`),
    );
  });
}

function webhook(sessionId, status) {
  return within(
    `a webhook with status ${status} for ${sessionId}`,
    (done, give) => {
      const check = () => {
        const refused = webhooks.find((body) => body.refused);
        if (refused) give(`one came whose signature is wrong: ${refused.refused}`);
        if (webhooks.some((body) => body.session_id === sessionId && body.status === status)) {
          done();
        }
      };
      wakeOnWebhook.add(check);
      check();
    },
    WEBHOOK_WAIT_MS,
  );
}

async function createSession(webhookUrl) {
  const session = await api("POST", "/v1/relays/sessions", 200, {
    users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }, { ip: "198.51.100.3" }],
    webhook_url: webhookUrl,
    join_code: true,
    ttl_seconds: 600,
  });
  expect(session.status === "READY" && session.ready, "status READY", session.status);
  expect(session.session_users.length === 3, "three users", session.session_users.length);
  expect(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/.test(session.join_code), "a join code", session.join_code);
  return session;
}

/** Waits until the client is in, and until the host has heard of it. */
async function join(host, connecting) {
  const client = await connecting;
  await host.event("peerjoined", ({ connectionId }) => connectionId === client.id);
  return client;
}
