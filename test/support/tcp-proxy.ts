/** A proxy on loopback through which a test cuts connections. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  /** Such as `http://127.0.0.1:12345`. */
  origin: string;
  /** How many connections were made, and how many bytes went up, to where the proxy leads, and down. */
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Cuts what is open, and refuses what comes, until `restore`. */
  cut(): void;
  restore(): void;
  close(): void;
}

/** A proxy to this origin. */
export async function startProxy(to: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(to);
  const open = new Set<Socket>();
  let isCut = false;
  let connections = 0;
  let bytesUp = 0;
  let bytesDown = 0;
  const server = createServer((socket) => {
    if (isCut) {
      socket.destroy();
      return;
    }
    connections += 1;
    socket.on("data", (bytes) => {
      bytesUp += bytes.length;
    });
    const upstream = connect(Number(port), hostname);
    upstream.on("data", (bytes) => {
      bytesDown += bytes.length;
    });
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      open.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const destroyAll = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    get bytesUp() {
      return bytesUp;
    },
    get bytesDown() {
      return bytesDown;
    },
    cut: () => {
      isCut = true;
      destroyAll();
    },
    restore: () => {
      isCut = false;
    },
    close: () => {
      server.close();
      destroyAll();
    },
  };
}
