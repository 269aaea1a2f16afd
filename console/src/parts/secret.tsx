/** Tokens and secrets: not to be seen by whoever looks over the person's shoulder. */
import { useState } from "preact/hooks";
import { Copyable } from "./text";

/** A credential behind a button. Shown, it can be copied and hidden again. */
export function Secret({ text, label }: { text: string; label: string }) {
  const [shown, setShown] = useState(false);
  const toggle = (
    <button
      type="button"
      class="quiet"
      aria-expanded={shown}
      aria-label={`${shown ? "Hide" : "Show"} ${label}`}
      onClick={() => setShown(!shown)}
    >
      {shown ? "Hide" : "Show"}
    </button>
  );
  return (
    <span class="copyable">
      {shown && <Copyable text={text} label={label} />}
      {toggle}
    </span>
  );
}
