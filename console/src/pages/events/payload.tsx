/** What an event tells, in full. */
import { CopyButton } from "../../parts/text";
import { showText } from "../../show-text";

/** JSON as text, with a button that copies it as it came. */
export function Payload({ value, label }: { value: unknown; label: string }) {
  const text = JSON.stringify(value, null, 2);
  return (
    <>
      <pre class="payload">{showText(text)}</pre>
      <CopyButton text={text} label={label} />
    </>
  );
}
