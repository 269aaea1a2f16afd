/**
 * The demo's ends of a relay node: UDP sockets that speak as native games do. Each datagram begins with the
 * two tokens; datagrams may be lost, so what was not answered is sent again.
 */
import { createSocket } from "node:dgram";
import { within } from "./participant.mjs";

/** The first byte of a datagram behind its tokens. */
const PING = 1;
const DATA = 2;
const SEND_AGAIN_MS = 200;

/** One user of a session, on the port of its role. */
export class UdpParticipant {
  #socket;
  #to;
  #tokens;
  #wake = new Set();
  #received = [];

  /**
   * @param {string} name how the demo calls it
   * @param {{ host: string, port: number }} to where the node is: `relay.host`, and the port of its role
   * @param {number} sessionToken
   * @param {number} userToken
   */
  static async open(name, to, sessionToken, userToken) {
    const participant = new UdpParticipant();
    participant.name = name;
    participant.#to = to;
    participant.#tokens = Buffer.alloc(8);
    participant.#tokens.writeUInt32LE(userToken, 0);
    participant.#tokens.writeUInt32LE(sessionToken, 4);
    const socket = createSocket("udp4");
    participant.#socket = socket;
    socket.on("message", (bytes) => {
      participant.#received.push(bytes);
      for (const check of participant.#wake) check();
    });
    await new Promise((bound) => socket.bind(bound));
    return participant;
  }

  /** Pings until the relay answers with this state. */
  state(state) {
    const came = () => this.frame(Buffer.of(PING, state));
    return this.#until(came, Buffer.of(PING));
  }

  /** A client sends to the host, until the host has it. */
  toHost(host, id, text) {
    return this.#until(() => host.got(text, id), clientFrame(text));
  }

  /** The host sends to a client, until the client has it. */
  toClient(client, id, text) {
    return this.#until(() => client.got(text, null), hostFrame(id, text));
  }

  /** Waits for a message: the host's is from a client, a client's is from the host (null). */
  got(text, from) {
    return this.frame(from === null ? clientFrame(text) : hostFrame(from, text));
  }

  /** Sends this again and again, until that has come. */
  async #until(came, frame) {
    const bytes = Buffer.concat([this.#tokens, frame]);
    const send = () => this.#socket.send(bytes, this.#to.port, this.#to.host);
    send();
    const timer = setInterval(send, SEND_AGAIN_MS);
    try {
      await came();
    } finally {
      clearInterval(timer);
    }
  }

  /** Waits until these bytes have come. */
  frame(bytes) {
    return within(`${this.name} to get ${bytes.toString("hex")}`, (done) => {
      const check = () => {
        const index = this.#received.findIndex((one) => one.equals(bytes));
        if (index === -1) return;
        this.#received.splice(0, index + 1);
        this.#wake.delete(check);
        done();
      };
      this.#wake.add(check);
      check();
    });
  }

  close() {
    this.#socket.close();
  }
}

/** What goes between a client and the relay: the type, the payload. */
function clientFrame(text) {
  return Buffer.concat([Buffer.of(DATA), Buffer.from(text)]);
}

/** What goes between the host and the relay: the type, the client's id (int32, little-endian), the payload. */
function hostFrame(connectionId, text) {
  const id = Buffer.alloc(4);
  id.writeInt32LE(connectionId);
  return Buffer.concat([Buffer.of(DATA), id, Buffer.from(text)]);
}
