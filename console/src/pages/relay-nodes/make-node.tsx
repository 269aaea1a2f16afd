/** Making a relay node. */
import { createRelayNode } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useFocusAtFirst } from "../../parts/focus";
import { Field, Form, FormBehindButton } from "../../parts/form";
import { REGIONS, type Region } from "../../regions";

interface Props {
  /** Called with the token, which the service shows only now. */
  made: (token: string) => Promise<void>;
}

/** A button that opens the form. */
export function MakeNode({ made }: Props) {
  return (
    <FormBehindButton verb="Make a node" needs="relay-nodes:write" label="A new node">
      {(close) => <MakeForm made={made} close={close} />}
    </FormBehindButton>
  );
}

function MakeForm({ made, close }: Props & { close: () => void }) {
  const first = useFocusAtFirst<HTMLInputElement>();
  const [name, setName] = useState("");
  const [region, setRegion] = useState<Region | "">("");
  const [capacity, setCapacity] = useState("");
  const submit = async () => {
    const body = {
      name: name.trim(),
      region: region === "" ? null : region,
      capacity: capacity === "" ? null : Number(capacity),
    };
    const { token } = await result(createRelayNode({ body }));
    await made(token);
  };
  return (
    <Form submit={submit} needs="relay-nodes:write" verb="Make the node" cancel={close}>
      <Field label="Name">
        {(props) => (
          <input
            {...props}
            ref={first}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            maxLength={100}
            autocomplete="off"
            required
          />
        )}
      </Field>
      <Field
        label="Region"
        hint="Where it is: sessions go to nodes near their players. Automatic: where Cloudflare sees it."
      >
        {(props) => (
          <select
            {...props}
            value={region}
            onChange={(event) => setRegion(event.currentTarget.value as Region | "")}
          >
            <option value="">Automatic</option>
            {Object.entries(REGIONS).map(([id, words]) => (
              <option key={id} value={id}>
                {words}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        label="Capacity (optional)"
        hint="How many sessions it may carry at the same time. Empty: what its program is started with, normally 1,000."
      >
        {(props) => (
          <input
            {...props}
            type="number"
            min={1}
            value={capacity}
            onInput={(event) => setCapacity(event.currentTarget.value)}
          />
        )}
      </Field>
    </Form>
  );
}
