/** Refuses an address to which Drawbridge would not send. Called by every route that takes an address. */
import { addressRules, judgeAddress } from "../outbound/address";
import { type Call, Refused } from "./request-context";

/**
 * @param path the field that holds the address
 * @throws Refused 400 that says what is wrong with it
 */
export function requireSendable(c: Call, path: string, address: string): void {
  const judged = judgeAddress(address, addressRules(c.get("config"), c.req.url));
  if (judged.ok) return;
  const { code, reason } = judged.refusal;
  throw new Refused({
    status: 400,
    code,
    message: `${path} is refused: ${reason}`,
    problems: [{ path, message: reason }],
  });
}
