/**
 * The demo's ends of a relay node: UDP sockets that speak as native games do. Each datagram begins with the
 * two tokens; datagrams may be lost, so what was not answered is sent again.
 */
import { createSocket } from "node:dgram";
import { clientFrame, hostFrame, within } from "./participant.mjs";

const PING = 1;
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
    return this.exchange(Buffer.of(PING), Buffer.of(PING, state), this);
  }

  /** A client sends to the host, until the host has it. */
  toHost(host, id, text) {
    return this.exchange(clientFrame(text), hostFrame(id, text), host);
  }

  /** The host sends to a client, until the client has it. */
  toClient(client, id, text) {
    return this.exchange(hostFrame(id, text), clientFrame(text), client);
  }

  /** Sends this again and again, until the receiver has got that. */
  async exchange(frame, expected, receiver) {
    const bytes = Buffer.concat([this.#tokens, frame]);
    const send = () => this.#socket.send(bytes, this.#to.port, this.#to.host);
    send();
    const timer = setInterval(send, SEND_AGAIN_MS);
    try {
      await receiver.frame(expected);
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
