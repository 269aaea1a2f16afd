/** Who is signed in. The session token lives in this tab's storage and nowhere else. */
import { signal } from "@preact/signals";
import {
  createSessionToken,
  deleteSessionToken,
  getSessionToken,
  listSignInMethods,
} from "drawbridge-client";
import { asCallError, CallError, onRefusedCredential, result, setCredential } from "./call";
import { forgetAddress } from "./routes";
import { noteServiceTime } from "./service-clock";

const STORED_TOKEN = "drawbridge-session-token";
const STORED_ORGANISATION = "drawbridge-organisation";

/** A sign-in code in the address. Programs that send links on may have put something behind it. */
const CODE = /^#code=([\w-]*)/;

/** The person, as the service knows them. */
export type Person = NonNullable<Awaited<ReturnType<typeof getSessionToken>>["data"]>;

/** What the console knows of its person. */
export type SignedIn =
  /** `problem`: why it does not go on; null: it does. */
  | { state: "starting"; problem: string | null }
  | { state: "out"; notice: string | null; methods: readonly string[] }
  | { state: "in"; person: Person };

/** With what a person signs in: an API key, a sign-in code, or what Cloudflare Access says of them. */
export type SignInBy =
  | { token: string }
  | { code: string }
  /** The organisation is named where the address of the person is known in several; null: it is not. */
  | { accessTo: number | null };

/** Who is signed in now. */
export const signedIn = signal<SignedIn>({ state: "starting", problem: null });

/** Whether the person may do what needs this permission; null: it needs none. */
export function may(permission: string | null): boolean {
  const now = signedIn.value;
  if (permission === null) return true;
  const held = now.state === "in" ? now.person.permissions : [];
  return held.includes("*") || held.includes(permission);
}

/** Counts who signs in, signs out, or changes the organisation: an answer to what was before does not count. */
let turn = 0;

/** Signs in with the code in the address, or goes on with the token of this tab. */
export async function start(): Promise<void> {
  onRefusedCredential(sessionEnded);
  // A link that signs in may be opened in a tab in which the console is open already.
  window.addEventListener("hashchange", () => void signInWithAddress());
  if (await signInWithAddress()) return;
  const token = sessionStorage.getItem(STORED_TOKEN);
  if (token === null) return out(null);
  await goOnWith(token);
}

/** Tries again what could not be done at the start. */
export async function startAgain(): Promise<void> {
  const token = sessionStorage.getItem(STORED_TOKEN);
  if (token === null) return out(null);
  signedIn.value = { state: "starting", problem: null };
  await goOnWith(token);
}

/**
 * Signs in, and opens the console.
 * @throws CallError
 */
export async function signIn(by: SignInBy): Promise<void> {
  turn += 1;
  setCredential(null);
  const { session_token: token } = await result(createSessionToken(requestOf(by)));
  const organisationId = "accessTo" in by ? by.accessTo : null;
  setCredential({ token, organisationId });
  await enter(token, organisationId);
}

/** Signs out here and on the service. */
export async function signOut(): Promise<void> {
  const now = signedIn.value;
  const failure = await result(deleteSessionToken()).then(
    () => null,
    (error: CallError) => error,
  );
  // A token that the service does not take any more is over, too.
  if (failure === null || failure.status === 401) return out("You have signed out.");
  const ends = now.state === "in" ? now.person.expires_at : null;
  const until = ends === null ? "" : ` It ends by itself at ${new Date(ends).toLocaleString()}.`;
  await out(
    `You have signed out in this tab, but the service could not end your session: ${failure.message}${until}`,
  );
}

/**
 * Acts in another organisation of the key from now on.
 * @throws CallError; then nothing has changed
 */
export async function changeOrganisation(id: number): Promise<void> {
  const token = sessionStorage.getItem(STORED_TOKEN);
  if (token !== null) await enter(token, id);
}

/** How many things are shown that must not go away. */
let kept = 0;
/** Why the session has ended while something was kept; null: it has not. */
let endedMeanwhile: string | null = null;

/**
 * Keeps the page as it is even if the session ends: a secret is about to be shown once.
 * @returns what lets go of it. Called again, it does nothing
 */
export function keepPage(): () => void {
  let holds = true;
  kept += 1;
  return () => {
    if (!holds) return;
    holds = false;
    kept -= 1;
    if (kept > 0 || endedMeanwhile === null) return;
    void out(endedMeanwhile);
  };
}

function sessionEnded(message: string): void {
  const notice = `Your session has ended. ${message}`;
  if (kept === 0) void out(notice);
  else endedMeanwhile = notice;
}

/** Whether the address holds a sign-in code. It is used, whatever comes of it. */
async function signInWithAddress(): Promise<boolean> {
  const code = CODE.exec(location.hash)?.[1];
  if (code === undefined) return false;
  // It is good once. In the address it would be copied and kept.
  forgetAddress();
  // Who was signed in here before is not any more.
  const before = sessionStorage.getItem(STORED_TOKEN);
  if (before !== null) await deleteSessionToken({ auth: () => before }).catch(() => null);
  await signIn({ code }).catch((error) => out(asCallError(error).message));
  return true;
}

/** Goes on with a token of before. Only the service's word that it is over signs the person out. */
async function goOnWith(token: string): Promise<void> {
  const stored = Number(sessionStorage.getItem(STORED_ORGANISATION)) || null;
  setCredential({ token, organisationId: null });
  try {
    await enter(token, stored).catch((error) => {
      // The organisation may be another key's, or gone.
      if (stored === null || !(error instanceof CallError) || error.status !== 404) throw error;
      return enter(token, null);
    });
  } catch (error) {
    const refused = error instanceof CallError && [401, 403, 404].includes(error.status ?? 0);
    if (!refused) signedIn.value = { state: "starting", problem: asCallError(error).message };
    // With a 401 the person is out already.
    else if (signedIn.value.state !== "out") await out(asCallError(error).message);
  }
}

/** Opens the console. Until the service has said who this is, and where, calls are made as before. */
async function enter(token: string, organisationId: number | null): Promise<void> {
  turn += 1;
  const mine = turn;
  const headers = organisationId === null ? {} : { "X-Organisation-Id": organisationId };
  const person = await result(getSessionToken({ headers }));
  if (mine !== turn) return;
  noteServiceTime(person.server_time);
  setCredential({ token, organisationId });
  sessionStorage.setItem(STORED_TOKEN, token);
  storeOrganisation(organisationId);
  signedIn.value = { state: "in", person };
}

function storeOrganisation(id: number | null): void {
  if (id === null) sessionStorage.removeItem(STORED_ORGANISATION);
  else sessionStorage.setItem(STORED_ORGANISATION, String(id));
}

function requestOf(by: SignInBy): Parameters<typeof createSessionToken>[0] {
  if (!("accessTo" in by)) return { body: by };
  return by.accessTo === null ? {} : { headers: { "X-Organisation-Id": by.accessTo } };
}

async function out(notice: string | null): Promise<void> {
  turn += 1;
  setCredential(null);
  sessionStorage.removeItem(STORED_TOKEN);
  storeOrganisation(null);
  endedMeanwhile = null;
  signedIn.value = { state: "out", notice, methods: ["api_key"] };
  const { methods } = await result(listSignInMethods()).catch(() => ({ methods: ["api_key"] }));
  if (signedIn.value.state === "out") signedIn.value = { state: "out", notice, methods };
}
