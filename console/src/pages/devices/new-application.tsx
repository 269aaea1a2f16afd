/** The form for a new application. */
import { createApplication } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Field, Form } from "../../parts/form";

interface NewApplicationProps {
  created: (id: string, name: string) => Promise<void>;
  /** Left out: the form stays. */
  cancel?: (() => void) | undefined;
}

/** Makes an application. */
export function NewApplication({ created, cancel }: NewApplicationProps) {
  const [name, setName] = useState("");
  const submit = async () => {
    const made = await result(createApplication({ body: { name: name.trim() } }));
    await created(made.id, made.name);
  };
  return (
    <Form
      submit={submit}
      needs="devices:manage"
      verb="Make the application"
      {...(cancel ? { cancel } : {})}
    >
      <Field label="Name" hint="Such as Gateway. Its devices do not see it.">
        {(props) => (
          <input
            {...props}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            required
          />
        )}
      </Field>
    </Form>
  );
}
