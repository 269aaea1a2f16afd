/** The headers of answers that a client acts on, as OpenAPI describes them. */
import type { Operation } from "../http/operation";
import { takesIdempotency } from "./refusals";

/** The `headers` of the response with this status; empty: none that a client has to know. */
export function answerHeadersOf(operation: Operation, status: string): { headers?: object } {
  const headers = { ...shared(operation, status), ...own(operation, status) };
  return Object.keys(headers).length > 0 ? { headers } : {};
}

function shared(operation: Operation, status: string): Record<string, object> {
  if (status === "429") {
    return { "Retry-After": header("In how many seconds the call may be made again.", "integer") };
  }
  if (status === "503") {
    const description =
      "In how many seconds to try again. Absent where waiting does not help (`not-configured`).";
    return { "Retry-After": header(description, "integer") };
  }
  const isAnswer = status in operation.answers;
  if (isAnswer && operation.readsNearby) {
    return {
      "X-D1-Bookmark": header(
        "To be sent from now on, in place of the one that was sent.",
        "string",
      ),
    };
  }
  return isAnswer && takesIdempotency(operation)
    ? {
        "Idempotent-Replayed": header(
          "`true`: this is the answer to an earlier request.",
          "string",
        ),
      }
    : {};
}

function own({ answers, answerHeaders = {} }: Operation, status: string): Record<string, object> {
  if (!(status in answers)) return {};
  return Object.fromEntries(
    Object.entries(answerHeaders).map(([name, text]) => [name, header(text, "string")]),
  );
}

function header(description: string, type: "integer" | "string"): object {
  return { description, schema: { type } };
}
