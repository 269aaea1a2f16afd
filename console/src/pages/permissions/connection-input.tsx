/** The input for a connection's id, with suggestions from those that are registered. */
import { listConnections } from "drawbridge-client";
import { useEffect, useId, useState } from "preact/hooks";
import { result } from "../../call";
import { Field } from "../../parts/form";
import { may } from "../../signed-in";

const SUGGESTIONS = 12;

/** How long after the last letter it is asked. Milliseconds. */
const PAUSE_MS = 150;

interface ConnectionInputProps {
  label: string;
  value: string;
  change: (id: string) => void;
}

/** The input. Of thousands of connections it asks only for those that begin with what is typed. */
export function ConnectionInput({ label, value, change }: ConnectionInputProps) {
  const list = useId();
  const [suggested, setSuggested] = useState<readonly string[]>([]);
  useEffect(() => {
    if (!may("connections:get")) return;
    let wanted = true;
    const timer = window.setTimeout(async () => {
      const found = await startingWith(value).catch(() => []);
      if (wanted) setSuggested(found);
    }, PAUSE_MS);
    return () => {
      wanted = false;
      window.clearTimeout(timer);
    };
  }, [value]);
  return (
    <Field label={label}>
      {(props) => (
        <>
          <input
            {...props}
            list={list}
            value={value}
            onInput={(event) => change(event.currentTarget.value)}
            maxLength={16}
            autocomplete="off"
            spellcheck={false}
            required
          />
          <datalist id={list}>
            {suggested.map((id) => (
              <option key={id} value={id} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}

/** The first connections whose ids begin so: the list is in the order of ids. */
async function startingWith(start: string): Promise<string[]> {
  const query = { maxResults: SUGGESTIONS, ...(start === "" ? {} : { after: start }) };
  const { definitions } = await result(listConnections({ query }));
  return definitions.map(({ connectionId }) => connectionId).filter((id) => id.startsWith(start));
}
