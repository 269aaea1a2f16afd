/** Making a relay node. */
import { createRelayNode } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Field, Form } from "../../parts/form";
import { REGIONS, type Region } from "../../regions";

interface Props {
  /** Called with the token, which the service shows only now. */
  made: (token: string) => Promise<void>;
}

export function MakeNode({ made }: Props) {
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
    setName("");
    setRegion("");
    setCapacity("");
    await made(token);
  };
  return (
    <>
      <h2>Make a node</h2>
      <Form submit={submit} needs="relay-nodes:write" verb="Make the node">
        <Field label="Name">
          {(props) => (
            <input
              {...props}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
              maxLength={100}
              autocomplete="off"
              required
            />
          )}
        </Field>
        <Field label="Region" hint="Where it is. Sessions go to nodes near their players.">
          {(props) => (
            <select
              {...props}
              value={region}
              onChange={(event) => setRegion(event.currentTarget.value as Region | "")}
            >
              <option value="">as Cloudflare sees its link</option>
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
          hint="The most sessions that it carries. Left out: as many as the program says, 1,000 by default."
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
    </>
  );
}
