/** What two connections may send to each other, and what has to be done to change it. Pure. */
import type { RelayPermission } from "drawbridge-client";

/** One relay permission that a direction needs. */
export interface Side {
  connectionId: string;
  remoteConnectionId: string;
  direction: "send" | "receive";
  /** `unregistered`: there is no such connection, so it can have no relay permission. */
  state: "enabled" | "disabled" | "missing" | "unregistered";
}

/** Whether one connection may send to another. */
export interface Direction {
  from: string;
  to: string;
  /** Whether it may: both sides allow it. */
  on: boolean;
  /** The sender's side, then the receiver's. */
  sides: readonly [Side, Side];
}

/** One call that changes a side. */
export interface Step {
  side: Side;
  /** `create` makes it, and enabled at once. */
  what: "create" | "enable" | "disable";
}

/** The relay permissions of one connection with the other; null: it is not registered. */
export type Rows = readonly RelayPermission[] | null;

/** Whether `from` may send to `to`, by the rows of both. */
export function directionOf(
  { id: from, rows: fromRows }: { id: string; rows: Rows },
  { id: to, rows: toRows }: { id: string; rows: Rows },
): Direction {
  const sides = [
    sideOf(fromRows, { connectionId: from, remoteConnectionId: to, direction: "send" }),
    sideOf(toRows, { connectionId: to, remoteConnectionId: from, direction: "receive" }),
  ] as const;
  return { from, to, on: sides.every(({ state }) => state === "enabled"), sides };
}

function sideOf(rows: Rows, key: Omit<Side, "state">): Side {
  if (rows === null) return { ...key, state: "unregistered" };
  const row = rows.find(
    (one) =>
      one.connectionId === key.connectionId &&
      one.remoteConnectionId === key.remoteConnectionId &&
      one.direction === key.direction,
  );
  if (!row) return { ...key, state: "missing" };
  return { ...key, state: row.enabled === "true" ? "enabled" : "disabled" };
}

/**
 * What has to be done to turn a direction on or off, with as few calls as possible. Off disables both sides
 * and deletes none, so that their memos stay.
 */
export function stepsTo(on: boolean, { sides }: Direction): Step[] {
  if (!on) {
    return sides
      .filter(({ state }) => state === "enabled")
      .map((side) => ({ side, what: "disable" }));
  }
  return sides
    .filter(({ state }) => state !== "enabled")
    .map((side) => ({ side, what: side.state === "disabled" ? "enable" : "create" }));
}

/** The permission of API keys that a step needs. */
export function neededBy({ what }: Step): string {
  return what === "create" ? "relay-permissions:create" : "relay-permissions:update";
}

/** What a side says: "plant-a sends to plant-b". */
export function sideInWords({
  connectionId,
  remoteConnectionId,
  direction,
}: Omit<Side, "state">): string {
  const verb = direction === "send" ? "sends to" : "receives from";
  return `${connectionId} ${verb} ${remoteConnectionId}`;
}
