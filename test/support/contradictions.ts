/** Where the Worker under test leaves what contradicts the description of the API. */

const noted = globalThis as typeof globalThis & { contradictions?: string[] };

/** Notes a contradiction: the test that made the call will fail. */
export function noteContradiction(contradiction: string): void {
  noted.contradictions = [...(noted.contradictions ?? []), contradiction];
}

/** What was noted since the last time. */
export function takeContradictions(): string[] {
  const taken = noted.contradictions ?? [];
  noted.contradictions = [];
  return taken;
}
