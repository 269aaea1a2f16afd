/** Which sender addresses of datagrams count as one client for limits. Pure. */
import { addressBucket } from "../src/platform/ip-address";

/** The name under which limits count an address that a UDP socket has given: as `addressBucket` names it. */
export function senderBucket(address: string): string {
  // Most addresses are IPv4, which is its own bucket: parsing each would be what a flood costs us.
  return address.includes(":") ? addressBucket(address) : address;
}
