/** The state of a device token, in words. */
import type { Device } from "drawbridge-client";
import { Badge } from "../../parts/text";

/** The state of the token of one role. */
export type TokenStatus = Device["tokens"][number]["status"];

/** The state as a mark. */
export function TokenState({ status }: { status: TokenStatus }) {
  if (status === "active") return <Badge kind="good">active</Badge>;
  if (status === "revoked") return <Badge kind="bad">revoked</Badge>;
  return <Badge kind="warn">not collected yet</Badge>;
}
