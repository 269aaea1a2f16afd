/** Text, times and identifiers, as a person should see them. */
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { onAClock, roughly } from "../durations";
import { serviceNow } from "../service-clock";
import { showText } from "../show-text";

/** Text that a device, a user or another system wrote. It cannot change how the rest is shown. */
export function Untrusted({ text }: { text: string | null | undefined }) {
  if (text === null || text === undefined || text === "") return <span class="muted">none</span>;
  return <bdi class="untrusted">{showText(text)}</bdi>;
}

/** A point in time as its distance from now, such as "5 min ago". */
export function Ago({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="muted">never</span>;
  const ms = serviceNow.value - Date.parse(at);
  // The service's time is known to two seconds: what has just happened is not to come.
  const words = ms >= -2_000 ? `${roughly(ms)} ago` : `in ${roughly(-ms)}`;
  return <Moment at={at}>{words}</Moment>;
}

/** How long something has been there, such as "5 min". */
export function Age({ since }: { since: string }) {
  return <Moment at={since}>{roughly(serviceNow.value - Date.parse(since))}</Moment>;
}

/** What is left until a point in time, second by second. */
export function Countdown({ until }: { until: string }) {
  const left = Date.parse(until) - serviceNow.value;
  return (
    <Moment at={until} class="countdown">
      {onAClock(left)}
    </Moment>
  );
}

interface MomentProps {
  at: string;
  class?: string;
  children: string;
}

/** Words for a point in time. The pointer shows the time itself. */
function Moment({ at, class: name, children }: MomentProps) {
  return (
    <time class={name} dateTime={at} title={new Date(at).toLocaleString()}>
      {children}
    </time>
  );
}

/** An identifier or a secret, with a button that copies it. */
export function Copyable({ text, label }: { text: string; label: string }) {
  return (
    <span class="copyable">
      <code>{text}</code>
      <CopyButton text={text} label={label} />
    </span>
  );
}

/** A command to paste into a terminal. A word of it is not broken, unless it is longer than the line. */
export function Command({ text, label }: { text: string; label: string }) {
  return (
    <span class="copyable">
      <code class="command">
        {text.split(" ").map((word, index) => (
          <Fragment key={index}>
            {index > 0 && " "}
            <span>{word}</span>
          </Fragment>
        ))}
      </code>
      <CopyButton text={text} label={label} />
    </span>
  );
}

/** A button that copies what is shown elsewhere. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState<"yes" | "no" | null>(null);
  const copy = async () => {
    try {
      // A page that came over plain HTTP has no clipboard.
      await navigator.clipboard.writeText(text);
      setCopied("yes");
    } catch {
      setCopied("no");
    }
    window.setTimeout(() => setCopied(null), 2_000);
  };
  const verb = copied === "yes" ? "Copied" : "Copy";
  return (
    <>
      <button type="button" class="quiet" onClick={copy} aria-label={`${verb} ${label}`}>
        {verb}
      </button>
      {copied === "no" && <span role="alert">Select it and copy it by hand.</span>}
    </>
  );
}

/** A short mark, such as a state. */
export function Badge({
  kind = "plain",
  children,
}: {
  kind?: "plain" | "good" | "warn" | "bad";
  children: preact.ComponentChildren;
}) {
  return <span class={`badge ${kind}`}>{children}</span>;
}
