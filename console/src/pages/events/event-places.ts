/** What an event is about, and on which pages of the console that is. Pure. */
import type { Event } from "drawbridge-client";

/** A page of the console that shows more of what an event tells. */
export interface Place {
  title: string;
  /** The parts of its address. */
  parts: string[];
}

/** Where else to look: what is beside the subject in the event. */
export function furtherPlaces({ data }: Event): Place[] {
  if ("kind" in data) return [{ title: "Its API key", parts: ["keys", String(data.key_id)] }];
  if ("pair_request_id" in data) return [{ title: "Pairing", parts: ["pairing"] }];
  return [];
}

/** What an event is about. */
interface Subject {
  /** Its name. */
  text: string;
  /** Of a device that has a name as well; null: it has none, or it is no device. */
  fingerprint: string | null;
  /** The parts of the address of its page. */
  parts: string[];
}

/** What an event is about: its name, and the address of its page. */
export function subjectOf(event: Event): Subject {
  const { data } = event;
  // What has no name is called by its fingerprint, which need not be said twice.
  const named = "fingerprint" in data && nameAndPlace(event).text !== data.fingerprint;
  return { ...nameAndPlace(event), fingerprint: named ? data.fingerprint : null };
}

function nameAndPlace({ data }: Event): Omit<Subject, "fingerprint"> {
  if ("kind" in data) {
    return {
      text: data.id,
      parts: [data.kind === "relay" ? "sessions" : "source-sessions", data.id],
    };
  }
  if ("fingerprint" in data) {
    const label = "label" in data ? data.label : null;
    // Who only asks is no device yet.
    const isDevice = !("pair_request_id" in data) || data.status === "approved";
    return {
      text: label || data.display_name || data.fingerprint,
      parts: isDevice ? ["devices", data.application_id, data.device_id] : ["pairing"],
    };
  }
  if ("remoteConnectionId" in data) {
    const { connectionId, remoteConnectionId, direction } = data;
    const arrow = direction === "send" ? "→" : "←";
    return {
      text: `${connectionId} ${arrow} ${remoteConnectionId}`,
      parts: ["permissions", "pair", connectionId, remoteConnectionId],
    };
  }
  if ("connectionId" in data) {
    return { text: data.connectionId, parts: ["permissions", "list", data.connectionId] };
  }
  // It has no page of its own.
  if ("size_bytes" in data) return { text: "the database", parts: ["events"] };
  if ("timeout_seconds" in data) return { text: data.type, parts: ["source-sessions"] };
  if ("event_types" in data) return { text: data.url, parts: ["webhooks", data.id] };
  if ("dns_name" in data) return { text: data.name, parts: ["keys", String(data.id)] };
  return { text: data.name, parts: ["relay-nodes", data.id] };
}
