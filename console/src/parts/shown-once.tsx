/** What is shown this once: whoever leaves it is asked first. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { askBeforeLeaving } from "../routes";

/** The question, and what ends it. */
export interface QuestionBeforeLeaving {
  /** Draw it anywhere. */
  question: JSX.Element;
  /** It has been copied: nothing is asked any more. Call it before the address changes. */
  copied: () => void;
}

/**
 * Asks before the person leaves the page, or closes the tab.
 * @param lost what they would lose, such as "The token"
 */
export function useQuestionBeforeLeaving(lost: string): QuestionBeforeLeaving {
  const dialog = useRef<HTMLDialogElement>(null);
  const [go, setGo] = useState<{ now: () => void } | null>(null);
  const stop = useRef(() => {});
  useEffect(() => {
    stop.current = askBeforeLeaving((now) => {
      setGo({ now });
      // It is open already if the person has pressed Back at the question.
      if (!dialog.current?.open) dialog.current?.showModal();
    });
    const closing = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", closing);
    return () => {
      stop.current();
      window.removeEventListener("beforeunload", closing);
    };
  }, []);
  const leave = () => {
    stop.current();
    dialog.current?.close();
    go?.now();
  };
  const question = (
    <dialog ref={dialog} aria-labelledby="leaving">
      <h2 id="leaving">Leave without it?</h2>
      <p>{lost} is shown this once. If you have not copied it, it is lost.</p>
      <div class="buttons">
        <button type="button" onClick={() => dialog.current?.close()}>
          Stay
        </button>
        <button type="button" class="danger" onClick={leave}>
          Leave
        </button>
      </div>
    </dialog>
  );
  return { question, copied: () => stop.current() };
}
