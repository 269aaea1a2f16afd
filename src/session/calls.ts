import type { NewRelayUser, Session, SessionRefusal } from "./machine";

/** A user as asked for: the object draws what their token needs. */
export type UserRequest = Omit<NewRelayUser, "draw">;

/** A session as it is now, with the figures of its sockets. */
export interface SessionView {
  session: Session;
  /** By user ordinal; who never connected is left out. */
  traffic: Record<number, Traffic & { connected: boolean }>;
  /** When work was last done with it (source sessions), Unix milliseconds. */
  usedAt: number | null;
  /** The call had been made before, and changed nothing this time. */
  isRepeat?: true;
}

/** What a call on a session answers: the session, or why not. */
export type SessionResult = ({ ok: true } & SessionView) | { ok: false; refusal: SessionRefusal };

/** What a user has sent and received over all of their sockets, in bytes of payload. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
  /** Frames from this user that could not be passed on. */
  dropped: number;
  /** Cloudflare's view of where they connected from; null before that. */
  latitude: number | null;
  longitude: number | null;
}
