/** The operations of connections and relay permissions under HULFT's other prefix. */
import type { OperationGroup } from "../../http/operation";
import { connectionOperations } from "./connections";
import { permissionOperations } from "./permissions";

const PREFIX = "/api/v2";

/** The same operations once more, for clients that send the prefix. */
export const webConnectPrefix: OperationGroup = {
  name: "WebConnect under /api/v2",
  description:
    "Connections and relay permissions once more: HULFT's documentation writes the paths of its Site API without a prefix, and its examples with `/api/v2`. Both work in the same way.",
  page: "from-webconnect.md",
  operations: [...connectionOperations(PREFIX), ...permissionOperations(PREFIX)].map(
    (operation) => ({
      ...operation,
      summary: `${operation.summary} (the same call, under ${PREFIX})`,
    }),
  ),
};
