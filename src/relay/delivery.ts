/**
 * Sends messages to the participants of a relay, one at a time, and lets go of those that do not read. The
 * hub and its parts send through it.
 */
import { type Participant, saveAttachmentInTime } from "./participant";
import type { ControlMessage } from "./protocol";

/** What the delivery needs of the hub. */
export interface DeliveryPorts {
  /** How much may be sent to one participant since it was last heard; 0 switches it off. */
  unheardBytes: number;
  /** When the platform has answered this socket's text ping last, Unix milliseconds; null: never. */
  lastPing(ws: WebSocket): number | null;
  /** Closes a participant to whom too much was sent since it was last heard. */
  closeUnheard(receiver: Participant): void;
}

export class Delivery {
  readonly #ports: DeliveryPorts;

  constructor(ports: DeliveryPorts) {
    this.#ports = ports;
  }

  /** Sends a frame, and counts its payload for the receiver. */
  send(receiver: Participant, frame: Uint8Array, payloadBytes: number, now: number): void {
    if (!this.#deliver(receiver, frame)) return;
    receiver.traffic.bytesOut += payloadBytes;
    saveAttachmentInTime(receiver, now);
  }

  /** Sends a control message. It counts like a frame of the one who gets it. */
  tell(receiver: Participant, control: ControlMessage): void {
    this.#deliver(receiver, JSON.stringify(control));
  }

  /** @returns false when the receiver has gone, or is closed now for never being heard */
  #deliver(receiver: Participant, message: Uint8Array | string): boolean {
    receiver.unheard += message.length;
    // workerd shows no send buffer (2026-11). So instead of what the participant has not read, the relay
    // counts what was sent since it was last heard. A reader that stalls is closed, not buffered for.
    if (this.#isTooMuch(receiver)) {
      this.#ports.closeUnheard(receiver);
      return false;
    }
    try {
      receiver.ws.send(message);
      return true;
    } catch {
      // It has just closed; its close event does the rest.
      return false;
    }
  }

  /**
   * Whether more was sent to a participant since it was last heard than may be. The platform answers text
   * pings itself, so they are asked for only here: what was sent before the newest one counts as read.
   */
  #isTooMuch(receiver: Participant): boolean {
    const { unheardBytes, lastPing } = this.#ports;
    if (unheardBytes === 0 || receiver.unheard <= unheardBytes) return false;
    const ping = lastPing(receiver.ws);
    if (ping === receiver.pingCounted) return true;
    receiver.pingCounted = ping;
    receiver.unheard = 0;
    return false;
  }
}
