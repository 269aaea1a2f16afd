/** Which user of a relay session is the host. Pure. */

/**
 * The ordinal of the host. The first user ever authorised on a session is its host; all others are
 * clients, and a client's ordinal is its connection id. An ordinal is never used again (`evolve` in
 * `session/machine.ts`), so a host that was revoked is not replaced: the session goes on without one.
 */
export const HOST = 0;
