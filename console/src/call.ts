/** Calls of the API: what they answer, or an error with words for a person. */
import { client } from "drawbridge-client";
import { errorWords } from "./error-words";
import { send } from "./send";
import { noteServiceTime } from "./service-clock";

/** How long the console waits for an answer. */
const TIMEOUT_MS = 15_000;

/**
 * Relay sessions answer 403 where all others answer 401: the codes say what it is. With another status the
 * same code says that a relay session has ended.
 */
const SIGNED_OUT = ["session-ended", "expired-key", "unknown-key", "blocked-key"];

/** A call that failed. The message is for the person who made it. */
export class CallError extends Error {
  override name = "CallError";
  constructor(
    message: string,
    /** The HTTP status; null: nobody answered. */
    readonly status: number | null,
    /** What is wrong, for programs; null: the answer did not say. */
    readonly code: string | null,
  ) {
    super(message);
  }
}

/** What was thrown, as a call that failed: its message is for the person. */
export function asCallError(error: unknown): CallError {
  return error instanceof CallError ? error : new CallError(String(error), null, null);
}

/** With what the console calls: a session token, and the organisation in which the person acts. */
export interface Credential {
  token: string;
  /** Null: the first of the key. */
  organisationId: number | null;
}

let credential: Credential | null = null;
let whenRefused: (message: string) => void = () => {};

client.setConfig({
  baseUrl: location.origin,
  cache: "no-store",
  credentials: "same-origin",
  fetch: send,
  // Only what is called without a credential has none: Cloudflare Access's own cookie may still be sent.
  auth: () => credential?.token,
});
client.interceptors.request.use((request) => {
  if (credential?.organisationId != null && !request.headers.has("X-Organisation-Id")) {
    request.headers.set("X-Organisation-Id", String(credential.organisationId));
  }
  return request;
});

/** Says with what is called from now on; null: with nothing. */
export function setCredential(next: Credential | null): void {
  credential = next;
}

/** Says what happens when the service no longer takes the session token. It is given the service's words. */
export function onRefusedCredential(listener: (message: string) => void): void {
  whenRefused = listener;
}

interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response?: Response | undefined;
}

/**
 * What a call answers: `await result(listDevices({ path, query }))`.
 * @throws CallError if it was refused, or if nobody answered
 */
export async function result<T>(call: Promise<Answer<T>>): Promise<NonNullable<T>> {
  return (await resultWithHeaders(call)).value;
}

/**
 * What a call answers, and the headers of the answer.
 * @throws CallError if it was refused, or if nobody answered
 */
export async function resultWithHeaders<T>(
  call: Promise<Answer<T>>,
): Promise<{ value: NonNullable<T>; headers: Headers }> {
  const used = credential;
  const { data, error, response } = await withinTime(call);
  if (!response) throw new CallError("The service cannot be reached.", null, null);
  const { headers, status } = response;
  noteServiceTime(headers.get("Date"));
  if (response.ok) {
    // Text is the page of a proxy, or of a network that wants people to sign in to it.
    if (error === undefined && typeof data !== "string") {
      return { value: data as NonNullable<T>, headers };
    }
    throw new CallError(
      "The answer is not one of the service: it was cut off, or something between has answered.",
      null,
      null,
    );
  }
  const isPage = headers.get("Content-Type")?.includes("html");
  const said = isPage ? null : error;
  const { message, code } = errorWords(said, status, headers.get("Retry-After"));
  const refused = status === 401 || (status === 403 && SIGNED_OUT.includes(code ?? ""));
  // An answer may come after the person has signed out, and in again as somebody else.
  if (refused && used !== null && used === credential) whenRefused(message);
  throw new CallError(message, status, code);
}

async function withinTime<T>(call: Promise<Answer<T>>): Promise<Answer<T>> {
  let timer = 0;
  const late = new Promise<Answer<T>>((resolve) => {
    timer = window.setTimeout(() => resolve({}), TIMEOUT_MS);
  });
  // A network error becomes an answer without a response.
  const answer = call.catch(() => ({}));
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
