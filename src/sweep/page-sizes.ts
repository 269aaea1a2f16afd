/**
 * How much one step of the sweep does. One API key can make 3,000 calls in 10 s, and so 18,000 rows of one
 * kind in a minute. Each kind of removal must do ten times that: 180,000 rows in a minute, which are 90
 * steps of 2,000 (`test/sweep/keeping-up.test.ts`).
 */

/** Rows that one statement deletes. It takes some tens of milliseconds of D1, which runs one query at a time. */
export const ROWS_PER_DELETION = 2_000;
/** Sessions that one step reads. They are sent on in messages of `SESSIONS_PER_MESSAGE`. */
export const SESSIONS_PER_STEP = 1_000;
/** Sessions in one message: so many Durable Objects are called for it. */
export const SESSIONS_PER_MESSAGE = 100;
/** Durable Objects that are called side by side. */
export const OBJECTS_AT_ONCE = 10;
/** Events of the outbox that one step has recorded in their journals. */
export const OWED_EVENTS_PER_STEP = 480;
/** Journals that one step finds. */
export const JOURNALS_PER_STEP = 1_000;
/** Journals that are dropped for one message: so many Durable Objects are called for it. */
export const JOURNALS_PER_MESSAGE = 100;
/** Pairing requests that one step ends, in one batch with three statements for each. */
export const REQUESTS_PER_STEP = 200;
/** Keys whose end one step announces. */
export const KEYS_PER_STEP = 100;
/** Deleted organisations that one step finds. */
export const ORGANISATIONS_PER_STEP = 100;
/** Steps for one message, before the rest goes into another message. A step is at most about 4 queries of D1. */
export const STEPS_PER_MESSAGE = 20;
