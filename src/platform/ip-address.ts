/** The one parser of IP addresses, and who counts as one client. Pure. */
import ipaddr from "ipaddr.js";

/**
 * An IPv4 or IPv6 address as people write them, without a zone. An IPv4-mapped IPv6 address, in any
 * spelling (`::ffff:1.2.3.4`, `0:0:0:0:0:ffff:102:304`), is the IPv4 address in it. Null: it is neither.
 */
export function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  // ipaddr.js also takes octal, hex and short forms of IPv4, and those as the tail of IPv6.
  const tail = /^(?:[0-9a-f:]*:)?([^:]*\..*)$/i.exec(text)?.[1];
  if (tail !== undefined && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return null;
  if (text.includes("%") || !ipaddr.isValid(text)) return null;
  // Without a dot or a colon it is a number, which ipaddr.js takes for an IPv4 address.
  if (!/[.:]/.test(text)) return null;
  return ipaddr.process(text);
}

/**
 * Under which name an address is counted by every limit: an IPv4 address as it is, and the /64 of an
 * IPv6 address, since one client can use every address of its /64. What is no address is itself.
 */
export function addressBucket(text: string): string {
  const address = parseAddress(text);
  if (address === null) return text;
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toRFC5952String()}/64`;
}
