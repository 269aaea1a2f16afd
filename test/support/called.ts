/** What a line of `counted-worker.ts` begins with. */
export const CALLED = "called: ";
