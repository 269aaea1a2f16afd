/** Two organisations of one service: one whose webhooks are timed, and one that bursts. */
import { newOrganisation, post } from "./server.mjs";

/** The bursting organisation's calls that are under way at the same time. */
const AT_ONCE = 8;
/**
 * How many events it makes in a second, at most. It leaves the one thread of the runtime some room: a thread
 * that has too much to do would delay everybody, whatever the service is like.
 */
const BURST_A_SECOND = 50;
const SESSIONS_OF_A_WORKER = 10;
/** How often a timed command is made, whatever became of the one before. */
const SAMPLE_MS = 250;
/** A session has room for 64 users. */
const USERS_OF_A_SESSION = 50;

let prepared = 0;

export class Burst {
  #url;
  #receiver;
  #headers;
  #path;
  /** The commands whose webhook has not arrived, by the address of the user that each has authorised. */
  #waiting = new Map();
  #session;
  /** How many commands were timed. */
  samples = 0;

  static async prepare(url, receiver) {
    const burst = new Burst();
    burst.#url = url;
    burst.#receiver = receiver;
    burst.#headers = await newOrganisation(url);
    burst.#path = `timed-${++prepared}`;
    receiver.listen(burst.#path, (body, at) => burst.#arrived(JSON.parse(body), at));
    await post(`${url}v1/webhooks/endpoints`, burst.#headers, {
      url: receiver.url(burst.#path),
      event_types: ["session.user_authorized"],
    });
    return burst;
  }

  /** Times so many commands, each when the webhook of the one before has arrived. */
  async sampleOneByOne(count) {
    const delays = [];
    for (let i = 0; i < count; i++) {
      delays.push(await this.#time());
      await pause(10);
    }
    return delays;
  }

  /** Times commands at a fixed rate, for as long as `more` says so. */
  async sample(more) {
    const timed = [];
    const startedAt = performance.now();
    while (more(timed.length)) {
      timed.push(this.#time());
      const next = startedAt + timed.length * SAMPLE_MS;
      await pause(Math.max(0, next - performance.now()));
    }
    return Promise.all(timed);
  }

  /**
   * Makes the other organisation and its sessions.
   * @param listens whether it has an endpoint that wants its events
   * @returns makes so many events in it, as fast as the bound and the service let it, and is over when all
   *   that its endpoint wants has arrived
   */
  async prepareOther(listens) {
    const headers = await newOrganisation(this.#url);
    const path = `${this.#path}-burst`;
    if (listens) {
      const types = ["session.user_authorized", "session.user_revoked"];
      const endpoint = { url: this.#receiver.url(path), event_types: types };
      await post(`${this.#url}v1/webhooks/endpoints`, headers, endpoint);
    }
    const workers = await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        const sessions = [];
        for (let i = 0; i < SESSIONS_OF_A_WORKER; i++) sessions.push(await this.#create(headers));
        return sessions;
      }),
    );
    return async (count) => {
      const commandsMs = await this.#makeEvents(headers, workers, count);
      while (listens && this.#receiver.count(path) < count) await pause(100);
      return { commandsMs };
    };
  }

  async #makeEvents(headers, workers, count) {
    const startedAt = performance.now();
    let left = count / 2;
    await Promise.all(
      workers.map(async (sessions, worker) => {
        for (let i = 0; left-- > 0; i++) {
          // Evenly: calls of all workers at the same moment would be a burst each.
          const due = startedAt + ((i * AT_ONCE + worker) * 2_000) / BURST_A_SECOND;
          await pause(Math.max(0, due - performance.now()));
          const session_id = sessions[i % sessions.length];
          const user = await this.#call(":authorize-user", headers, {
            session_id,
            user_ip: "198.51.100.9",
          });
          const { authorization_token } = user.session_user;
          await this.#call(":revoke-user", headers, { session_id, authorization_token });
        }
      }),
    );
    return performance.now() - startedAt;
  }

  /** Authorises a user, and waits for the webhook of it. */
  async #time() {
    const number = this.samples++;
    if (number % USERS_OF_A_SESSION === 0) this.#session = this.#create(this.#headers);
    const session_id = await this.#session;
    const user_ip = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
    const { promise, resolve } = Promise.withResolvers();
    this.#waiting.set(user_ip, resolve);
    const startedAt = performance.now();
    await this.#call(":authorize-user", this.#headers, { session_id, user_ip });
    const answeredAt = performance.now();
    const arrivedAt = await promise;
    return { fromAnswer: arrivedAt - answeredAt, fromCommand: arrivedAt - startedAt };
  }

  #arrived({ data }, at) {
    // Each webhook shows all users: the last one is new.
    const address = data.users.at(-1).ip_address;
    this.#waiting.get(address)?.(at);
    this.#waiting.delete(address);
  }

  async #create(headers) {
    const users = [{ ip: "198.51.100.1" }];
    const { session_id } = await this.#call("", headers, { users, max_users: 64 });
    return session_id;
  }

  #call(action, headers, body) {
    return post(`${this.#url}v1/relays/sessions${action}`, headers, body);
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
