/** The pages of the console, and which one the address names. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";

/** A page is given what stands behind its name in the address: `#/devices/studio/3f…` is ["studio", "3f…"]. */
export type Page = ComponentType<{ path: readonly string[] }>;

/** One entry of the navigation. */
export interface Route {
  /** The first part of the address: `#/pairing`. */
  name: string;
  title: string;
  /** What the person needs to see it. */
  permission: string;
  load: () => Promise<{ default: Page }>;
}

/** All pages, in the order of the navigation. The first one is where a person arrives. */
export const ROUTES: readonly Route[] = [
  {
    name: "pairing",
    title: "Pairing",
    permission: "devices:list",
    load: () => import("./pages/pairing/pairing-page"),
  },
  {
    name: "devices",
    title: "Devices",
    permission: "devices:list",
    load: () => import("./pages/devices/devices-page"),
  },
  {
    name: "sessions",
    title: "Relay sessions",
    permission: "relays:read",
    load: () => import("./pages/sessions/sessions-page"),
  },
  {
    name: "source-sessions",
    title: "Source sessions",
    permission: "sessions:read",
    load: () => import("./pages/source-sessions/source-sessions-page"),
  },
  {
    name: "permissions",
    title: "Relay permissions",
    permission: "relay-permissions:get",
    load: () => import("./pages/permissions/permissions-page"),
  },
  {
    name: "keys",
    title: "API keys",
    permission: "keys:read",
    load: () => import("./pages/keys/keys-page"),
  },
  {
    name: "webhooks",
    title: "Webhooks",
    permission: "webhooks:read",
    load: () => import("./pages/webhooks/webhooks-page"),
  },
  {
    name: "events",
    title: "Events",
    permission: "events:read",
    load: () => import("./pages/events/events-page"),
  },
  {
    name: "relay-nodes",
    title: "Relay nodes",
    permission: "relay-nodes:read",
    load: () => import("./pages/relay-nodes/relay-nodes-page"),
  },
];

/** The parts of the address, decoded: `#/devices/studio` is ["devices", "studio"]. */
export const address = signal(readAddress());

/** Asks the person whether to leave, and calls `go` if they want to; null: nothing would be lost. */
let ask: ((go: () => void) => void) | null = null;
/** The address of what is shown, as it stands behind the path. */
let shown = location.hash;

window.addEventListener("hashchange", () => {
  const wanted = location.hash;
  if (ask) history.replaceState(null, "", shown);
  leave(() => {
    // After a question the address is that of before.
    if (location.hash !== wanted) location.hash = wanted;
    shown = wanted;
    address.value = readAddress();
  });
});

/** Does what takes away what is shown; where something would be lost, only if the person wants to. */
export function leave(go: () => void): void {
  if (ask) ask(go);
  else go();
}

/**
 * From now on the person is asked before they leave what is shown.
 * @param question asks; it calls `go` if they want to leave
 * @returns what ends that
 */
export function askBeforeLeaving(question: (go: () => void) => void): () => void {
  ask = question;
  return () => {
    if (ask === question) ask = null;
  };
}

/** Takes what stands behind `#` out of the address, and out of what Back goes to. */
export function forgetAddress(): void {
  history.replaceState(null, "", location.pathname);
  shown = "";
  address.value = [];
}

function readAddress(): string[] {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  // An id of dots would be a step in the path of a call, which would then be another call.
  return parts.filter((part) => !["", ".", ".."].includes(part));
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The link to a page: `href("devices", application, id)`. */
export function href(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

/** Opens a page. */
export function goTo(...parts: readonly string[]): void {
  location.hash = href(...parts);
}
