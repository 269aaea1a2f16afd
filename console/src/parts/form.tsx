/** Forms: fields with labels, and a submit button that shows that it runs and what went wrong. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { may } from "../signed-in";
import { Action, isSecondOfDouble, Needs, useAction } from "./action";

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

interface FormBehindButtonProps {
  /** What the button says. */
  verb: string;
  /** The permission that it needs. */
  needs: string;
  /** What the form is, for those who hear it. */
  label: string;
  /** Draws the form. It is given what closes it. */
  children: (close: () => void) => JSX.Element;
}

/** A main button, in whose place a form comes. Closed again, the focus is where the button is. */
export function FormBehindButton({ verb, needs, label, children }: FormBehindButtonProps) {
  const [opened, setOpened] = useState<boolean | "not any more">(false);
  const place = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (opened === "not any more") place.current?.focus();
  }, [opened]);
  if (opened === true) {
    return (
      <section class="card" aria-label={label}>
        {children(() => setOpened("not any more"))}
      </section>
    );
  }
  return (
    <p ref={place} tabIndex={-1}>
      <Action run={async () => setOpened(true)} needs={needs} kind="main">
        {verb}
      </Action>
    </p>
  );
}
