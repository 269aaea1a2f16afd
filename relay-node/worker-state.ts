/** What the processes of a relay node know, put together: all of it for a new worker, and figures of all. Pure. */
import type { BudgetLimits } from "../src/relay/budget";
import type { AssignedSession, UserFigures } from "../src/relay-nodes/link-protocol";
import type { Carrier } from "./carrier";
import type { NodeSession } from "./session-table";
import { changeOf, type ToWorker } from "./worker-messages";

/** What a new worker has to be told, in order. `limits`: null, if Drawbridge has not said any yet. */
export function allThatIsKnown(
  { table, passUntil, knowsAllSessions }: Carrier,
  limits: BudgetLimits | null,
  now: number,
): ToWorker[] {
  const messages: ToWorker[] = limits ? [{ type: "limits", limits }] : [];
  messages.push({ type: "new-link", passUntil });
  for (const session of table.all()) {
    const { id, trunk, users } = session;
    messages.push({
      type: "assign",
      session: assignmentOf(session, now),
      at: now,
      passUntil: session.passUntil,
    });
    // Before what is known of users: whoever was heard since then is not on a websocket any more.
    if (trunk) messages.push({ type: "trunk", id, users: trunk.users, at: 0 });
    const heard = users.filter(({ heardAt }) => heardAt > 0);
    if (heard.length > 0) messages.push({ type: "users", changes: heard.map(changeOf) });
  }
  if (knowsAllSessions) messages.push({ type: "heard", passUntil });
  return messages;
}

/** What all workers have counted of these users. `known` says who they are, and who is connected. */
export function sumOfFigures(
  known: readonly UserFigures[],
  all: readonly (readonly UserFigures[])[],
): UserFigures[] {
  return known.map((user) => {
    const sum = { ...user };
    for (const figures of all) {
      const counted = figures.find(({ n }) => n === user.n);
      if (!counted) continue;
      sum.bytes_in += counted.bytes_in;
      sum.bytes_out += counted.bytes_out;
      sum.dropped += counted.dropped;
    }
    return sum;
  });
}

/** A session as Drawbridge would assign it now. */
function assignmentOf(session: NodeSession, now: number): AssignedSession {
  const { id, token, idleSeconds, users, permissions, wantsTrunk } = session;
  return {
    id,
    token,
    idle_seconds: idleSeconds,
    // Nodes do not use it.
    expires_at: 0,
    users: users.map(({ n, token, gated }) => ({ n, token, gated })),
    permissions: permissions && {
      to_clients: [...permissions.toClients],
      to_host: [...permissions.toHost],
      age_ms: now - permissions.readAt,
    },
    trunk: wantsTrunk,
  };
}
