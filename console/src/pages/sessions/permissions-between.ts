/** Which frames relay permissions let through between a host and its clients. Pure. */

/** A row of the relay permissions, as the API lists it. */
export interface PermissionRow {
  connectionId: string;
  remoteConnectionId: string;
  direction: "send" | "receive";
  enabled: "true" | "false";
}

/** A row that is needed. */
export interface NeededRow extends Omit<PermissionRow, "enabled"> {
  state: "absent" | "disabled";
}

/** One way between two connections. */
export interface OneWay {
  from: string;
  to: string;
  /** What it lacks; empty: frames pass. */
  missing: NeededRow[];
}

/** The two ways between a host's connection and each of its clients', in the order of the clients. */
export function waysBetween(
  host: string,
  clients: readonly string[],
  rows: readonly PermissionRow[],
): OneWay[] {
  const states = new Map(rows.map((row) => [keyOf(row), row.enabled === "true"]));
  const oneWay = (from: string, to: string): OneWay => {
    const needed = [
      { connectionId: from, remoteConnectionId: to, direction: "send" },
      { connectionId: to, remoteConnectionId: from, direction: "receive" },
    ] as const;
    const missing = needed
      .filter((row) => states.get(keyOf(row)) !== true)
      .map((row) => ({ ...row, state: states.has(keyOf(row)) ? "disabled" : "absent" }) as const);
    return { from, to, missing };
  };
  return clients.flatMap((client) => [oneWay(host, client), oneWay(client, host)]);
}

function keyOf({ connectionId, remoteConnectionId, direction }: Omit<PermissionRow, "enabled">) {
  // None of the parts holds a slash.
  return `${connectionId}/${remoteConnectionId}/${direction}`;
}
