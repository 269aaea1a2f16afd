/** A native game, as far as a relay sees it: a UDP socket on loopback. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { eventually } from "./eventually";

export class UdpPeer {
  /** What has come and was not taken yet, oldest first. */
  readonly received: Buffer[] = [];
  readonly #socket: Socket;
  readonly #address: string;
  #to: number;
  #closed = false;

  private constructor(socket: Socket, to: number, address: string) {
    this.#socket = socket;
    this.#to = to;
    this.#address = address;
    socket.on("message", (bytes) => this.received.push(bytes));
  }

  /** A socket that sends to this port of an address of loopback. */
  static async open(to: number, address = "127.0.0.1"): Promise<UdpPeer> {
    const type = address.includes(":") ? "udp6" : "udp4";
    const socket = createSocket({ type, recvBufferSize: 1_048_576 });
    socket.bind(0, address);
    await once(socket, "listening");
    return new UdpPeer(socket, to, address);
  }

  /** The port to which it sends. */
  get port(): number {
    return this.#to;
  }

  /** The port from which it sends. */
  get localPort(): number {
    return this.#socket.address().port;
  }

  /** From now on it sends to this port. */
  sendTo(port: number): void {
    this.#to = port;
  }

  async send(bytes: Buffer): Promise<void> {
    await new Promise<void>((sent, failed) => {
      this.#socket.send(bytes, this.#to, this.#address, (error) =>
        error ? failed(error) : sent(),
      );
    });
  }

  /** The next datagram, once it is there. */
  next(): Promise<Buffer> {
    return eventually(() => {
      const bytes = this.received.shift();
      if (!bytes) throw new Error("no datagram has come");
      return bytes;
    });
  }

  /** Sends these bytes, again and again since datagrams may be lost, until this answer comes. What else comes is dropped. */
  async until(bytes: Buffer, answer: Buffer): Promise<void> {
    await this.send(bytes);
    let tries = 0;
    await eventually(async () => {
      const index = this.received.findIndex((one) => one.equals(answer));
      this.received.splice(0, index === -1 ? this.received.length : index + 1);
      if (index !== -1) return;
      if (++tries % 4 === 0) await this.send(bytes);
      throw new Error(`expected ${answer.toString("hex")}`);
    });
  }

  /** Closes it, if it is open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}
