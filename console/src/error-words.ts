/** Reads what an error says, in the formats of all surfaces. Pure. */
import { roughly } from "./durations";

/** How the service tells programs to wait. A person does not see the header. */
const WAIT_AS_TOLD = /(?:, or|\.) wait as long as Retry-After says/i;

/** What an error says. */
export interface ErrorWords {
  /** For a person. */
  message: string;
  /** For programs; null: it has none. */
  code: string | null;
}

/**
 * The words of an error's body: problem details have `detail` and `code`, relay sessions `message` and
 * `code`, source sessions `message` and the code in `error`.
 * @param body what was answered, parsed
 * @param status the HTTP status
 * @param retryAfter the header of this name: seconds to wait, as text; null: there was none
 */
export function errorWords(
  body: unknown,
  status: number,
  retryAfter: string | null = null,
): ErrorWords {
  const fields = isRecord(body) ? body : {};
  const message =
    [fields.detail, fields.message, body].map(textOf).find((text) => text !== "") ??
    `The service answered ${status}.`;
  const problems = Array.isArray(fields.errors)
    ? fields.errors.map((one) => problemOf(one, message))
    : [];
  const code = textOf(fields.code) || textOf(fields.error) || null;
  const said = [message, ...problems].filter(Boolean).join(" ");
  const seconds = Number(retryAfter ?? Number.NaN);
  if (Number.isNaN(seconds)) return { message: said, code };
  const wait = `Try again in ${roughly(seconds * 1_000)}.`;
  return { message: `${said.replace(WAIT_AS_TOLD, "")} ${wait}`, code };
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value.trim();
  return Array.isArray(value) ? value.map(textOf).filter(Boolean).join(" ") : "";
}

/** One wrong field of problem details: "url: must begin with https://". Nothing, if it has been said. */
function problemOf(problem: unknown, said: string): string {
  if (!isRecord(problem)) return "";
  const { path, message } = problem;
  if (typeof message !== "string" || said.includes(message)) return "";
  return `${path ? `${path}: ` : ""}${message}.`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
