/** The two UDP ports of a relay node. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { setTimeout } from "node:timers/promises";
import type { Role } from "./datagram";

/** The kernel gives at most what net.core.rmem_max and wmem_max allow. */
const BUFFER_BYTES = 4 * 1_024 * 1_024;

export interface UdpPortsOptions {
  /** The address to bind, IPv4 or IPv6. `::` takes both. */
  bind: string;
  /** 0: any free one. */
  serverPort: number;
  clientPort: number;
  /** Whether other processes may have these ports too (Linux 3.9). Each gets the datagrams of some senders. */
  shared: boolean;
  /** Called for each datagram. The bytes are the callee's. */
  receive(role: Role, bytes: Buffer, from: { address: string; port: number }): void;
  /** A socket has failed: nothing comes through it any more. */
  failed(error: Error): void;
}

export class UdpPorts {
  readonly #server: Socket;
  readonly #client: Socket;

  private constructor(server: Socket, client: Socket) {
    this.#server = server;
    this.#client = client;
  }

  /** Binds both ports. Rejects with the system's error, such as EADDRINUSE. */
  static async open(options: UdpPortsOptions): Promise<UdpPorts> {
    const { bind, serverPort, clientPort, shared, receive, failed } = options;
    const open: Socket[] = [];
    const family = isIPv6(bind) ? 6 : 4;
    const bindOne = async (role: Role, port: number) => {
      const socket = createSocket({
        type: family === 6 ? "udp6" : "udp4",
        reusePort: shared,
        recvBufferSize: BUFFER_BYTES,
        sendBufferSize: BUFFER_BYTES,
        // Every receiver is an address that the socket has seen: nothing is looked up, and so nothing waits.
        lookup: (address, _options, found) => found(null, address, family),
      });
      open.push(socket);
      socket.on("message", (bytes, from) => receive(role, bytes, from));
      // With this lookup a socket is bound before `bind` returns.
      const listening = once(socket, "listening");
      socket.bind({ port, address: bind });
      await listening;
      socket.on("error", failed);
      return socket;
    };
    try {
      return new UdpPorts(await bindOne("server", serverPort), await bindOne("client", clientPort));
    } catch (error) {
      for (const socket of open) socket.close();
      throw error;
    }
  }

  /** The ports' numbers. */
  get numbers(): Record<Role, number> {
    return {
      server: this.#server.address().port,
      client: this.#client.address().port,
    };
  }

  /**
   * Sends the bytes from `start` on. It never waits. Datagrams that the kernel does not take at once are
   * queued in memory by Node: while one is, the next are dropped.
   * @returns false when it was dropped
   */
  send(role: Role, bytes: Buffer, start: number, to: { address: string; port: number }): boolean {
    const socket = role === "server" ? this.#server : this.#client;
    if (socket.getSendQueueCount() > 0) return false;
    socket.send(bytes, start, bytes.length - start, to.port, to.address);
    return true;
  }

  close(): void {
    this.#server.close();
    this.#client.close();
  }
}

/** How often, and after how many milliseconds, ports are tried again that are taken. */
const TRIES = 10;
const TRY_AGAIN_MS = 100;

/**
 * The numbers of two ports that nobody has. Whoever shares ports has to look first: they could also be
 * shared with another node of the same user, and a part of its datagrams would come here. Workers of a node
 * that was killed have them for a moment longer.
 * Rejects with the system's error, such as EADDRINUSE.
 */
export async function findFreePorts(
  ports: Pick<UdpPortsOptions, "bind" | "serverPort" | "clientPort">,
): Promise<Record<Role, number>> {
  const look = { ...ports, shared: false, receive: () => {}, failed: () => {} };
  for (let tries = 1; ; tries++) {
    try {
      const found = await UdpPorts.open(look);
      const { numbers } = found;
      found.close();
      return numbers;
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!isTaken || tries === TRIES) throw error;
      await setTimeout(TRY_AGAIN_MS);
    }
  }
}
