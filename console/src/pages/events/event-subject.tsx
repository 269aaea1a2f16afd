/** What an event is about. */
import type { Event } from "drawbridge-client";
import { Fingerprint } from "../../parts/device";
import { Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { subjectOf } from "./event-places";

/** The name of what an event is about; two devices of one name have different fingerprints. */
export function SubjectName({ event }: { event: Event }) {
  const { text, fingerprint } = subjectOf(event);
  return (
    <>
      <Untrusted text={text} />{" "}
      {fingerprint !== null && (
        <span class="muted">
          <Fingerprint text={fingerprint} />
        </span>
      )}
    </>
  );
}

/** The name of what an event is about, linked to its page. */
export function Subject({ event }: { event: Event }) {
  return (
    <a href={href(...subjectOf(event).parts)}>
      <SubjectName event={event} />
    </a>
  );
}
