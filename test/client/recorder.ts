/** What happens on a client's connection to a relay, noted so that a test can ask for it later. */
import type { RelayConnection, RelayEvents } from "drawbridge-client/relay";
import { eventually } from "../support/eventually";

const TYPES = [
  "message",
  "undecodable",
  "peerjoined",
  "peerleft",
  "hostjoined",
  "hostleft",
  "hostchanged",
  "promoted",
  "refused",
  "reconnecting",
  "reconnected",
  "closed",
] as const;

/** One event: its type, with its own fields beside it. */
export type Noted = { type: string; [field: string]: unknown };

/** Notes all events of a connection from now on. */
export function record<Sent, Received>(connection: RelayConnection<Sent, Received>) {
  const events: Noted[] = [];
  for (const type of TYPES) {
    connection.addEventListener(
      type,
      (event: Event & Partial<RelayEvents<Received>[typeof type]>) => {
        const fields = Object.fromEntries(
          Object.entries(event).filter(([name]) => name !== "isTrusted"),
        );
        events.push({ type, ...fields });
      },
    );
  }
  const of = (type: (typeof TYPES)[number]) => events.filter((event) => event.type === type);
  return {
    events,
    of,
    /** What the messages held, in the order in which they came. */
    get messages() {
      return of("message").map(({ data }) => data as Received);
    },
    /** The first event of this type, as soon as it is there. */
    async first(type: (typeof TYPES)[number]): Promise<Noted> {
      return this.nth(type, 0);
    },
    /** The event of this type with this index, as soon as it is there. */
    nth: (type: (typeof TYPES)[number], index: number): Promise<Noted> =>
      eventually(() => {
        const found = of(type)[index];
        if (!found) throw new Error(`no ${type}: ${JSON.stringify(events.slice(-5))}`);
        return found;
      }),
  };
}
