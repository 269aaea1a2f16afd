/** Buttons that do something on the service: they show that it runs, what went wrong, and why they are disabled. */
import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { asCallError } from "../call";
import { may } from "../signed-in";

/** Runs one action at a time, and keeps what went wrong with the last one. */
export function useAction(run: () => Promise<unknown>) {
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const busy = useRef(false);
  const start = async (): Promise<boolean> => {
    if (busy.current) return false;
    busy.current = true;
    setRunning(true);
    setError(null);
    try {
      await run();
      return true;
    } catch (failure) {
      setError(asCallError(failure).message);
      return false;
    } finally {
      busy.current = false;
      setRunning(false);
    }
  };
  return { running, error, start };
}

/** Whether this is the second click of a double click. Who clicks twice by habit wants it once. */
export function isSecondOfDouble({ detail }: MouseEvent): boolean {
  return detail > 1;
}

/** What is asked before something that cannot be undone. */
export interface Question {
  title: string;
  /** What it will do, by name. Drawn only while it is asked, so that it may ask the service. */
  body: ComponentChildren;
}

interface ActionProps {
  /** What it does. It throws CallError. */
  run: () => Promise<unknown>;
  /** The permission that it needs; null: none. */
  needs: string | null;
  kind?: "main" | "danger" | "plain";
  /** Asked before it runs. */
  ask?: Question;
  /** Why it cannot be done now; null: it can. */
  blocked?: string | null;
  children: ComponentChildren;
}

/** A button with its action. What went wrong stands beside it. */
export function Action({ run, needs, kind = "plain", ask, blocked = null, children }: ActionProps) {
  const { running, error, start } = useAction(run);
  const [asking, setAsking] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const allowed = may(needs);
  const why = allowed ? blocked : null;
  const press = (event: MouseEvent) => {
    if (isSecondOfDouble(event)) return;
    if (!ask) return void start();
    setAsking(true);
    dialog.current?.showModal();
  };
  const confirm = () => {
    dialog.current?.close();
    void start();
  };
  return (
    <span class="action">
      <button
        type="button"
        class={kind}
        // Not while it runs: a disabled button loses the focus. Pressed again, it does nothing.
        disabled={!allowed || why !== null}
        aria-busy={running}
        aria-describedby={!allowed || why || error ? id : undefined}
        onClick={press}
      >
        {children}
        {running && <span class="spinner" aria-hidden="true" />}
      </button>
      {(!allowed || why || error) && (
        <span id={id} class={error ? "problem" : "muted"} role={error ? "alert" : undefined}>
          {error ?? (allowed ? why : <Needs permission={needs} />)}
        </span>
      )}
      {ask && (
        <dialog ref={dialog} aria-labelledby={`${id}-title`} onClose={() => setAsking(false)}>
          <h2 id={`${id}-title`}>{ask.title}</h2>
          {asking && <div>{ask.body}</div>}
          <div class="buttons">
            <button type="button" onClick={() => dialog.current?.close()}>
              Cancel
            </button>
            <button type="button" class={kind} onClick={confirm}>
              {children}
            </button>
          </div>
        </dialog>
      )}
    </span>
  );
}

/** Names the permission that is missing. */
export function Needs({ permission }: { permission: string | null }) {
  return (
    <>
      needs <code>{permission}</code>
    </>
  );
}
