/** Where the focus goes when a part of the page takes the place of what was pressed. */
import { useEffect, useRef } from "preact/hooks";

/** Give it to an element: it gets the focus when it appears. One that takes none by itself needs `tabIndex={-1}`. */
export function useFocusAtFirst<T extends HTMLElement>() {
  const element = useRef<T>(null);
  useEffect(() => element.current?.focus(), []);
  return element;
}
