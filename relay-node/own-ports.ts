/** A relay node without workers: the process that has the link also has the ports, and forwards. */
import type { CarrierPorts } from "./carrier";
import { monotonicNow } from "./clock";
import type { Role } from "./datagram";
import { Forwarder } from "./forwarder";
import { UdpPorts, type UdpPortsOptions } from "./udp-ports";

export type OwnPortsOptions = Pick<UdpPortsOptions, "bind" | "serverPort" | "clientPort"> & {
  /** A socket has failed: the node cannot go on. */
  failed(reason: string): void;
};

export class OwnPorts extends Forwarder {
  readonly #options: OwnPortsOptions;
  readonly #udp: { ports: UdpPorts | null };

  constructor(ports: CarrierPorts, options: OwnPortsOptions) {
    const udp: { ports: UdpPorts | null } = { ports: null };
    super({
      ...ports,
      send: (role, bytes, start, to) => udp.ports?.send(role, bytes, start, to) ?? false,
    });
    this.#options = options;
    this.#udp = udp;
  }

  /** Binds the ports; gives their numbers. Rejects when one cannot be bound. */
  async open(): Promise<Record<Role, number>> {
    const { failed, ...options } = this.#options;
    const ports = await UdpPorts.open({
      ...options,
      shared: false,
      receive: (role, bytes, from) => this.receive(role, bytes, from, monotonicNow()),
      failed: ({ message }) => failed(`a socket failed: ${message}`),
    });
    this.#udp.ports = ports;
    return ports.numbers;
  }

  override close(): void {
    this.#udp.ports?.close();
    this.#udp.ports = null;
  }
}
