/**
 * The operation on `/v1` that says whether one connection may send to another, and which permissions are
 * missing.
 */
import * as z from "zod";
import { key, type OperationGroup, operation, type Shown } from "../../http/operation";
import { checkRelay } from "../../relay-permissions/manage-permissions";
import type { MissingPermission } from "../../relay-permissions/permission";
import { connectionId, direction } from "../relay-permissions/wire";

const checkBody = z.strictObject({
  from: connectionId.meta({ description: "The connection that would send." }),
  to: connectionId.meta({ description: "The connection that would receive." }),
});

const missingPermission = z
  .object({
    connection_id: connectionId,
    remote_connection_id: connectionId,
    direction,
    state: z
      .enum(["absent", "disabled"])
      .meta({ description: "`absent`: create it. `disabled`: enable it." }),
  })
  .meta({ id: "MissingRelayPermission" });

const relayCheck = z
  .object({
    allowed: z.boolean(),
    missing: z.array(missingPermission).meta({
      description: "The relay permissions that it needs and lacks. Empty if it is allowed.",
    }),
  })
  .meta({ id: "RelayCheck" });

/** The check of a transfer. */
export const relayPermissionCheck: OperationGroup = {
  name: "Relay permission check",
  description: "Whether one connection may send to another, and why not.",
  page: "relay-permissions.md",
  operations: [
    operation({
      id: "checkRelay",
      method: "POST",
      path: "/v1/relay-permissions:check",
      caller: key("relay-permissions:get"),
      summary: "Say whether one connection may send to another, and what is missing",
      description:
        "A transfer needs two relay permissions that are enabled: the sender's `send`, and the receiver's `receive`. A connection need not be registered to be asked about.",
      body: checkBody,
      answers: { 200: relayCheck },
      example: { body: { from: "plant-a", to: "plant-b" } },
      async handle(c, { body: { from, to }, caller: { organisationId } }) {
        const { allowed, missing } = await checkRelay(c.get("db"), organisationId, from, to);
        return { status: 200, body: { allowed, missing: missing.map(toMissing) } };
      },
    }),
  ],
};

function toMissing(missing: MissingPermission): Shown<typeof missingPermission> {
  return {
    connection_id: missing.connectionId,
    remote_connection_id: missing.remoteConnectionId,
    direction: missing.direction,
    state: missing.state,
  };
}
