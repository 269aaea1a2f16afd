/** The form that makes a webhook endpoint, or changes one. */
import { useState } from "preact/hooks";
import { CallError } from "../../call";
import { EventChoice } from "../../parts/event-pattern";
import { useFocusAtFirst } from "../../parts/focus";
import { Field, Form } from "../../parts/form";

/** What a person can say of an endpoint. */
export interface EndpointFields {
  url: string;
  description: string;
  /** Null: all events. */
  event_types: string[] | null;
}

interface EndpointFormProps {
  /** What the form shows at first. */
  initial: EndpointFields;
  verb: string;
  /** Sends it. It throws CallError. */
  submit: (fields: EndpointFields) => Promise<unknown>;
  cancel: () => void;
}

/** The fields of an endpoint. */
export function EndpointForm({ initial, verb, submit, cancel }: EndpointFormProps) {
  const [fields, setFields] = useState(initial);
  const first = useFocusAtFirst<HTMLInputElement>();
  const change = (part: Partial<EndpointFields>) => setFields({ ...fields, ...part });
  const send = async () => {
    if (fields.event_types?.length === 0)
      throw new CallError("Tick an event, or choose all.", null, null);
    await submit({ ...fields, url: fields.url.trim() });
  };
  return (
    <Form submit={send} needs="webhooks:write" verb={verb} cancel={cancel}>
      <Field
        label="Address"
        hint="An https address in the public Internet. Everyone who may read events sees it: put no secret into it."
      >
        {(props) => (
          <input
            {...props}
            ref={first}
            type="text"
            inputMode="url"
            value={fields.url}
            onInput={(event) => change({ url: event.currentTarget.value })}
            placeholder="https://example.com/hooks"
            autocomplete="off"
            spellcheck={false}
            maxLength={2048}
            required
          />
        )}
      </Field>
      <Field label="Description" hint="A note of yours.">
        {(props) => (
          <input
            {...props}
            value={fields.description}
            onInput={(event) => change({ description: event.currentTarget.value })}
            maxLength={256}
          />
        )}
      </Field>
      <EventChoice value={fields.event_types} change={(event_types) => change({ event_types })} />
    </Form>
  );
}
