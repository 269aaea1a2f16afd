/** A session in its object's memory, and how it gets there: from what is stored, or just made. */
import { JournalClient } from "../events/journal-client";
import type { Config } from "../platform/config";
import { withTimeout } from "../platform/wait";
import { PermissionGate } from "../relay/permission-gate";
import { RelayHub } from "../relay/relay-hub";
import { loadSessionPermissions } from "../relay-permissions/load-permissions";
import { SessionProjection } from "../session/projection";
import type { NodeFigures } from "../session/relay-node";
import { type SessionTokens, sessionTokens } from "../session/relay-tokens";
import type { SeatUse } from "../session/seats";
import { hostOf, isFinal, type Session } from "../session/session";
import type { SessionResult, Traffic } from "../session/session-calls";
import { replay, type SessionJournal, SessionOutbox } from "../session/session-outbox";
import { sourceStateUpdate } from "../sources/source-state";
import { Departures } from "./departures";
import { NO_TRAFFIC, type UsageStore } from "./usage-store";

/** Reading relay permissions has failed when it takes longer: frames and joins wait for it. */
const PERMISSIONS_TIMEOUT_MS = 2_000;

const NO_SAVED_TRAFFIC: ReadonlyMap<number, Traffic> = new Map();

/** A session as its object holds it in memory while it runs. */
export interface LoadedSession {
  /** What is stored: state and outbox. The code that changes it here also stores it. */
  journal: SessionJournal;
  /** The state that the journal stands for. */
  session: Session;
  readonly outbox: SessionOutbox;
  readonly tokens: SessionTokens;
  readonly hub: RelayHub;
  readonly permissions: PermissionGate;
  /** When its users left. */
  readonly departures: Departures;
  /**
   * When the session counts as idle if nobody calls and no socket is open, Unix milliseconds. Null:
   * not known, because the object was evicted and its alarm is lost or running.
   */
  idleAt: number | null;
  /** When a source session was last used, Unix milliseconds; null: never, or a relay session. */
  usedAt: number | null;
  /** What its relay node was told last: whether somebody is on a websocket. */
  nodeKnowsSockets: boolean;
}

/** The object that loads a session. */
export interface LoadContext {
  ctx: DurableObjectState;
  env: Env;
  config: Config;
  usage: UsageStore;
  /** Called after each reading of permissions, with the users whose connection was deleted: they are revoked. */
  permissionsRead(usersToRevoke: readonly number[]): void;
}

/** What the object knows about a session besides its journal, when it loads the session. */
export interface KnownAtLoad {
  /** Events up to this version are recorded; 0 where it was just made; null: unknown, since the object was evicted. */
  announced: 0 | null;
  idleAt: number | null;
}

/** Makes the session of a journal, with all that its object needs beside it. */
export function loadSession(
  { ctx, env, config, usage, permissionsRead }: LoadContext,
  journal: SessionJournal,
  { announced, idleAt }: KnownAtLoad,
): LoadedSession {
  const session = stateOf(journal);
  const { organisationId, id: sessionId } = session;
  const journals = new JournalClient(env);
  const { db } = journals;
  const isNew = announced !== null;
  const projection = new SessionProjection(db, { isNew });
  const outbox = new SessionOutbox(
    {
      findAnnounced: (of) => projection.findAnnounced(of),
      record: (events) => journals.record(events),
      project: (of, upTo, how) => {
        const { usedAt } = loaded;
        const also = sourceStateUpdate(db, of);
        return projection.write(of, { announced: upTo, usedAt, now: Date.now(), also }, how);
      },
    },
    announced,
  );
  const permissions = new PermissionGate({
    users: () => loaded.session.users,
    host: () => hostOf(loaded.session),
    load: async (host, clients) => {
      const query = { organisationId, sessionId, host, clients };
      const reading = loadSessionPermissions(db, query);
      return withTimeout(PERMISSIONS_TIMEOUT_MS, reading);
    },
    permissionsRead,
  });
  const sockets = ctx.getWebSockets();
  // Read only where there can be some: each reading costs a row.
  const saved = isNew || session.kind === "source" ? NO_SAVED_TRAFFIC : usage.readTraffic();
  const hub = new RelayHub(sockets, config.relay, saved, {
    gate: permissions,
    host: () => hostOf(loaded.session),
    lastPing: (ws) => ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? null,
  });
  const now = Date.now();
  const departures = new Departures(saved, connectedUsers({ session, hub }), now);
  // Stored at once: else each loading would count from its own time.
  if (departures.lost.length > 0 && !isFinal(session)) {
    usage.saveTraffic({ hub, departures }, departures.lost, now);
  }
  const tokens = sessionTokens(config.secret, sessionId);
  const usedAt = session.source && !isNew ? usage.readUsedAt() : null;
  const parts = { outbox, tokens, hub, permissions, departures, nodeKnowsSockets: hub.size > 0 };
  const loaded: LoadedSession = { journal, session, ...parts, idleAt, usedAt };
  return loaded;
}

/**
 * The state that a stored journal stands for.
 * @throws Error when it has no events: what is stored is damaged then
 */
export function stateOf(journal: SessionJournal): Session {
  const session = replay(journal);
  if (!session) throw new Error("a stored session has no events");
  return session;
}

/** The users who have an open websocket. */
export function connectedUsers({ session, hub }: Pick<LoadedSession, "session" | "hub">) {
  return new Set(session.users.map(({ n }) => n).filter((n) => hub.isConnected(n)));
}

/** Whether this user is there. */
export function seatUseOf({ hub, departures }: LoadedSession, n: number): SeatUse {
  return { connected: hub.isConnected(n), leftAt: departures.leftAt(n) };
}

/**
 * What a call answers of a session.
 * @param session as the call left it: others may have changed it since
 * @param onNode where a relay node carries the session: what it has counted; null: it did not say
 */
export function viewOf(
  { hub, usedAt }: LoadedSession,
  session: Session,
  onNode: { figures: readonly NodeFigures[] | null } = { figures: [] },
): Extract<SessionResult, { ok: true }> {
  if (onNode.figures === null) return { ok: true, session, traffic: null, usedAt };
  const traffic: Record<number, Traffic & { connected: boolean }> = {};
  for (const [n, figures] of hub.traffic) {
    traffic[n] = { ...figures, connected: hub.isConnected(n) };
  }
  for (const { n, connected, ...counted } of onNode.figures) {
    const onSockets = traffic[n] ?? { ...NO_TRAFFIC, connected: false };
    traffic[n] = {
      ...onSockets,
      connected: onSockets.connected || connected,
      bytesIn: onSockets.bytesIn + counted.bytesIn,
      bytesOut: onSockets.bytesOut + counted.bytesOut,
      dropped: onSockets.dropped + counted.dropped,
    };
  }
  return { ok: true, session, traffic, usedAt };
}
