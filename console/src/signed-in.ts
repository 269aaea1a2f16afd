/** Who is signed in. The session token lives in this tab's storage and nowhere else. */
import { signal } from "@preact/signals";
import {
  createSessionToken,
  deleteSessionToken,
  getSessionToken,
  listSignInMethods,
} from "drawbridge-client";
import { CallError, onRefusedCredential, result, setCredential } from "./call";

const STORED_TOKEN = "drawbridge-session-token";
const STORED_ORGANISATION = "drawbridge-organisation";

/** What may stand behind `#code=` in the address: a sign-in code. */
const CODE = /^#code=([\w-]+)$/;

/** The person, as the service knows them. */
export type Person = NonNullable<Awaited<ReturnType<typeof getSessionToken>>["data"]>;

/** What the console knows of its person. */
export type SignedIn =
  | { state: "starting" }
  | { state: "out"; notice: string | null; methods: readonly string[] }
  | { state: "in"; person: Person };

/** Who is signed in now. */
export const signedIn = signal<SignedIn>({ state: "starting" });

/** Whether the person may do what needs this permission; null: it needs none. */
export function may(permission: string | null): boolean {
  const now = signedIn.value;
  if (permission === null) return true;
  const held = now.state === "in" ? now.person.permissions : [];
  return held.includes("*") || held.includes(permission);
}

/** Signs in with the code in the address, or goes on with the token of this tab. */
export async function start(): Promise<void> {
  onRefusedCredential(() => out("Your session has ended. Sign in again."));
  const code = CODE.exec(location.hash)?.[1];
  if (code) {
    // It is good once. In the address it would be copied and kept.
    history.replaceState(null, "", location.pathname);
    await signIn({ code }).catch((error) => out(wordsOf(error)));
    return;
  }
  const token = sessionStorage.getItem(STORED_TOKEN);
  if (token === null) return out(null);
  await enter(token).catch((error) => out(wordsOf(error)));
}

/**
 * Signs in, and opens the console.
 * @param by an API key, a sign-in code, or null: Cloudflare Access says who it is
 * @throws CallError
 */
export async function signIn(by: { token: string } | { code: string } | null): Promise<void> {
  setCredential(null);
  const made = await result(createSessionToken(by === null ? {} : { body: by }));
  await enter(made.session_token);
}

/** Signs out here and on the service. */
export async function signOut(): Promise<void> {
  await result(deleteSessionToken()).catch(() => null);
  out("You have signed out.");
}

/** Acts in another organisation of the key from now on. */
export async function changeOrganisation(id: number): Promise<void> {
  sessionStorage.setItem(STORED_ORGANISATION, String(id));
  const token = sessionStorage.getItem(STORED_TOKEN);
  if (token !== null) await enter(token);
}

async function enter(token: string): Promise<void> {
  const stored = sessionStorage.getItem(STORED_ORGANISATION);
  setCredential({ token, organisationId: stored === null ? null : Number(stored) });
  const person = await result(getSessionToken()).catch((error) => {
    // The organisation may be another key's, or gone.
    if (stored === null || !(error instanceof CallError) || error.status !== 404) throw error;
    sessionStorage.removeItem(STORED_ORGANISATION);
    setCredential({ token, organisationId: null });
    return result(getSessionToken());
  });
  sessionStorage.setItem(STORED_TOKEN, token);
  signedIn.value = { state: "in", person };
}

async function out(notice: string | null): Promise<void> {
  setCredential(null);
  sessionStorage.removeItem(STORED_TOKEN);
  sessionStorage.removeItem(STORED_ORGANISATION);
  signedIn.value = { state: "out", notice, methods: ["api_key"] };
  const { methods } = await result(listSignInMethods()).catch(() => ({ methods: ["api_key"] }));
  if (signedIn.value.state === "out") signedIn.value = { state: "out", notice, methods };
}

function wordsOf(error: unknown): string {
  return error instanceof CallError ? error.message : String(error);
}
