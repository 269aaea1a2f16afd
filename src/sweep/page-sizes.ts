/**
 * How much a step handles. The rates that this has to keep up with come from the limit of one API key,
 * 3,000 calls in 10 s: 18,000 rows a minute of whatever a call makes. Each kind of removal must manage
 * ten times that, 180,000 rows a minute (`test/sweep/keeping-up.test.ts`): 90 steps of 2,000.
 */

/** Rows that one statement deletes: some tens of milliseconds of D1, which runs one query at a time. */
export const ROWS_PER_DELETION = 2_000;
/** Sessions read for a step, and handed on in messages of `SESSIONS_PER_MESSAGE`. */
export const SESSIONS_PER_STEP = 1_000;
/** Objects called for one message, some side by side. */
export const SESSIONS_PER_MESSAGE = 100;
/** Objects called side by side. */
export const OBJECTS_AT_ONCE = 10;
/** Events of owed ones: 40 calls of the queue. */
export const OWED_EVENTS_PER_STEP = 480;
/** Pairing requests that are ended in one batch: three statements each. */
export const REQUESTS_PER_STEP = 200;
/** Keys, permissions, sources and the like. */
export const KEYS_PER_STEP = 100;
/** Organisations looked at for a step. */
export const ORGANISATIONS_PER_STEP = 100;
/** Steps done for a message, before the rest goes to another one: at most about 4 queries each. */
export const STEPS_PER_MESSAGE = 20;
/** Each organisation's retention is looked at once in so many minutes. */
export const RETENTION_SHARES = 60;
