/**
 * The Worker that the tests call: ours, with each call compared with the description of the API.
 * `check-description.ts` fails the test in which they differ.
 */
import worker from "../../src/worker";
import { noteContradiction } from "./contradictions";
import { findContradiction } from "./description";

export * from "../../src/worker";

export default {
  ...worker,
  async fetch(request, env, ctx) {
    const sent = request.body === null ? null : request.clone();
    const answer = await worker.fetch(request, env, ctx);
    if (answer.status === 101) return answer;
    const contradiction = findContradiction({
      method: request.method,
      url: new URL(request.url),
      requestBody: sent === null ? "" : await textOf(sent),
      status: answer.status,
      mediaType: answer.headers.get("Content-Type")?.split(";")[0] ?? null,
      body: await answer.clone().text(),
    });
    if (contradiction !== null) noteContradiction(contradiction);
    return answer;
  },
} satisfies ExportedHandler<Env>;

/** The text of the body; empty where it cannot be read any more. */
async function textOf(request: Request): Promise<string> {
  try {
    return await request.text();
  } catch {
    return "";
  }
}
