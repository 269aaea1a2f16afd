/** What a node is answered when it says hello: that it is welcome, or that it speaks another protocol. Pure. */
import type { BudgetLimits } from "../relay/budget";
import {
  BLIND_SECONDS,
  type Hello,
  LINK_PROTOCOL,
  PING_SECONDS,
  type Welcome,
} from "./link-protocol";

/**
 * The welcome of a node.
 * @param limits what one user may send
 */
export function toWelcome(
  { id, isDraining }: { id: string; isDraining: boolean },
  { bytesPerSecond, burstBytes, messagesPerSecond, burstMessages }: BudgetLimits,
): Welcome {
  return {
    type: "welcome",
    protocol: LINK_PROTOCOL,
    node_id: id,
    ping_seconds: PING_SECONDS,
    blind_seconds: BLIND_SECONDS,
    limits: {
      bytes_per_second: bytesPerSecond,
      burst_bytes: burstBytes,
      messages_per_second: messagesPerSecond,
      burst_messages: burstMessages,
    },
    draining: isDraining,
  };
}

/** Why a node cannot be understood, for `refused`; null: it can. */
export function protocolRefusal({ protocol }: Hello): { code: string; message: string } | null {
  if (protocol === LINK_PROTOCOL) return null;
  const what = `This relay node speaks version ${protocol} of the link's protocol, and Drawbridge version ${LINK_PROTOCOL}.`;
  return protocol < LINK_PROTOCOL
    ? { code: "node-too-old", message: `${what} Update the relay node.` }
    : { code: "node-too-new", message: `${what} Update Drawbridge, or use an older relay node.` };
}
