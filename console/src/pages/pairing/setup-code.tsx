/** A setup code: it lets one device in without a decision. */
import { type Application, createSetupCode, type SetupCode } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Field, Form } from "../../parts/form";
import { SecondsSelect } from "../../parts/seconds-select";
import { Copyable, Countdown, Untrusted } from "../../parts/text";
import { OPERATOR_SCOPES } from "../../scopes";
import { showText } from "../../show-text";

/** For how many seconds a code may work. */
const LIVES = [60, 300, 600].map((seconds) => ({ seconds, words: `${seconds / 60} min` }));

/** The form to make one, closed at first. */
export function SetupCodes({ applications }: { applications: readonly Application[] }) {
  const [made, setMade] = useState<SetupCode | null>(null);
  return (
    <details class="more">
      <summary>Let one device in without a decision: make a setup code</summary>
      {made ? (
        <div role="status">
          <p>
            Enter this code at the device, or let its program send it as <code>setup_code</code>. It
            works once.
          </p>
          <p class="setup-code">
            <Copyable text={made.setup_code} label="the setup code" />
          </p>
          <p>
            <Countdown until={made.expires_at} /> left
          </p>
          <button type="button" onClick={() => setMade(null)}>
            Make another one
          </button>
        </div>
      ) : (
        <SetupCodeForm applications={applications} made={setMade} />
      )}
    </details>
  );
}

interface SetupCodeFormProps {
  applications: readonly Application[];
  made: (code: SetupCode) => void;
}

function SetupCodeForm({ applications, made }: SetupCodeFormProps) {
  const [application, setApplication] = useState("");
  const [role, setRole] = useState("operator");
  const [ticked, setTicked] = useState<readonly string[]>(["operator.read"]);
  const [typed, setTyped] = useState("");
  const [ttl, setTtl] = useState(300);
  const chosen = application || applications[0]?.id || "";
  const isOperator = role === "operator";
  const scopes = isOperator ? ticked : typed.split(/[\s,]+/).filter(Boolean);
  const submit = async () => {
    const body = { role, scopes: [...scopes], ttl_seconds: ttl };
    made(await result(createSetupCode({ path: { application: chosen }, body })));
  };
  return (
    <Form submit={submit} needs="devices:approve" verb="Make a setup code">
      <Field label="Application">
        {(props) => (
          <select
            {...props}
            value={chosen}
            onChange={(event) => setApplication(event.currentTarget.value)}
            required
          >
            {applications.map(({ id, name }) => (
              <option key={id} value={id}>
                {showText(name)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Role">
        {(props) => (
          <input
            {...props}
            value={role}
            onInput={(event) => setRole(event.currentTarget.value)}
            spellcheck={false}
            required
          />
        )}
      </Field>
      {isOperator ? (
        <fieldset>
          <legend>Scopes</legend>
          {Object.keys(OPERATOR_SCOPES).map((scope) => (
            <label class="tick" key={scope}>
              <input
                type="checkbox"
                checked={ticked.includes(scope)}
                onChange={() => setTicked(without(ticked, scope) ?? [...ticked, scope])}
              />
              <code>{scope}</code>
            </label>
          ))}
        </fieldset>
      ) : (
        <Field
          label="Scopes"
          hint={
            <>
              With spaces between them. Each begins with the role:{" "}
              <Untrusted text={`${role}.read`} />
            </>
          }
        >
          {(props) => (
            <input
              {...props}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
              spellcheck={false}
            />
          )}
        </Field>
      )}
      <Field label="Works for">
        {(props) => <SecondsSelect {...props} times={LIVES} value={ttl} change={setTtl} />}
      </Field>
    </Form>
  );
}

/** The texts without one of them; null: it is not among them. */
function without(texts: readonly string[], text: string): string[] | null {
  return texts.includes(text) ? texts.filter((one) => one !== text) : null;
}
