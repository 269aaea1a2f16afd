/** The settings of an API key as a person types them, and what of them has changed. Pure. */

/** What a person types. Lists have one entry a line. */
export interface KeyDraft {
  name: string;
  emails: string;
  labels: string;
  ipAllowlist: string;
  dnsName: string;
  /** As an input for local times has it, such as `2026-11-26T18:30`; empty: no end. */
  expiresAt: string;
}

/** What a key has of them. */
export interface KeySettings {
  name: string;
  emails?: readonly string[];
  labels?: readonly string[];
  ipAllowlist: readonly string[];
  dnsName: string | null;
  /** RFC 3339. */
  expiresAt: string | null;
}

/** What is sent of them. */
export interface KeySettingsBody {
  name?: string;
  emails?: string[];
  labels?: string[];
  ipAllowlist?: string[];
  dnsName?: string | null;
  expiresAt?: string | null;
}

/** The draft of a new key. */
export const EMPTY_DRAFT: KeyDraft = {
  name: "",
  emails: "",
  labels: "",
  ipAllowlist: "",
  dnsName: "",
  expiresAt: "",
};

/** The settings of a key, to be typed over. */
export function draftOf(key: KeySettings): KeyDraft {
  return {
    name: key.name,
    emails: (key.emails ?? []).join("\n"),
    labels: (key.labels ?? []).join("\n"),
    ipAllowlist: key.ipAllowlist.join("\n"),
    dnsName: key.dnsName ?? "",
    expiresAt: key.expiresAt === null ? "" : toLocalInput(key.expiresAt),
  };
}

/** What differs between two drafts, as the service takes it. */
export function changesOf(before: KeyDraft, after: KeyDraft): KeySettingsBody {
  const changed = (field: keyof KeyDraft) => before[field].trim() !== after[field].trim();
  return {
    ...(changed("name") ? { name: after.name.trim() } : {}),
    ...(changed("emails") ? { emails: entriesOf(after.emails) } : {}),
    ...(changed("labels") ? { labels: linesOf(after.labels) } : {}),
    ...(changed("ipAllowlist") ? { ipAllowlist: entriesOf(after.ipAllowlist) } : {}),
    ...(changed("dnsName") ? { dnsName: after.dnsName.trim() || null } : {}),
    ...(changed("expiresAt") ? { expiresAt: fromLocalInput(after.expiresAt) } : {}),
  };
}

/** The entries of a text, with line breaks, spaces or commas between them. */
export function entriesOf(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/** A time as `<input type="datetime-local">` has it: in the zone of this machine, to the minute. */
function toLocalInput(time: string): string {
  const at = new Date(time);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

function fromLocalInput(text: string): string | null {
  return text.trim() === "" ? null : new Date(text).toISOString();
}
