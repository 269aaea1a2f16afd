/** Forms: fields with labels, and a submit button that shows that it runs and what went wrong. */
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { may } from "../signed-in";
import { isSecondOfDouble, Needs, useAction } from "./action";

interface FieldProps {
  label: string;
  /** What to put in, in a few words. */
  hint?: ComponentChildren;
  children: (props: { id: string; "aria-describedby": string | undefined }) => JSX.Element;
}

/** One field with its label. Its child makes the input: `{(props) => <input {...props} />}`. */
export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": hint ? `${id}-hint` : undefined })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface FormProps {
  /** Sends it. It throws CallError. */
  submit: () => Promise<unknown>;
  /** The permission that it needs; null: none. */
  needs: string | null;
  /** What the button says. */
  verb: string;
  /** Called by a second button; left out: there is none. */
  cancel?: () => void;
  children: ComponentChildren;
}

/** A form. What went wrong stands beside its button. */
export function Form({ submit, needs, verb, cancel, children }: FormProps) {
  const { running, error, start } = useAction(submit);
  const allowed = may(needs);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (allowed) void start();
      }}
    >
      {children}
      <div class="buttons">
        <button
          type="submit"
          class="main"
          disabled={!allowed}
          aria-busy={running}
          onClick={(event) => isSecondOfDouble(event) && event.preventDefault()}
        >
          {verb}
          {running && <span class="spinner" aria-hidden="true" />}
        </button>
        {cancel && (
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        )}
        {!allowed && (
          <span class="muted">
            <Needs permission={needs} />
          </span>
        )}
      </div>
      {error && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
    </form>
  );
}
