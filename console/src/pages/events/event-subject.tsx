/** What an event is about, as a link to its page. */
import type { Event } from "drawbridge-client";
import { Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { subjectOf } from "./event-places";

/** The name of what an event is about, linked to its page. */
export function Subject({ event }: { event: Event }) {
  const { text, parts } = subjectOf(event);
  return (
    <a href={href(...parts)}>
      <Untrusted text={text} />
    </a>
  );
}
