/** One line that says what was done just now, and is read aloud. */
import type { ComponentChildren, JSX } from "preact";
import { useRef, useState } from "preact/hooks";

/** The line, and how to say something in it. */
export interface StatusLine {
  line: JSX.Element;
  /** Shows it, and moves the focus there: what was pressed is gone, or has done its work. */
  say: (words: ComponentChildren) => void;
}

/** A line for what was done. It stays in sight when the page is scrolled. */
export function useStatusLine(): StatusLine {
  const [words, setWords] = useState<ComponentChildren>(null);
  const element = useRef<HTMLParagraphElement>(null);
  return {
    line: (
      <p class="status-line" role="status" tabIndex={-1} ref={element}>
        {words}
      </p>
    ),
    say: (next) => {
      setWords(next);
      element.current?.focus({ preventScroll: true });
    },
  };
}
