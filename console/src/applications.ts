/** The applications of the organisation: their names, and which there are. */
import { type Application, listApplications } from "drawbridge-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { asCallError, result } from "./call";

/** The most that are read: so many pages of 100. */
const PAGES = 10;

/** What is known of the applications. */
export interface Applications {
  /** Newest first; undefined: they are not known yet. */
  list: readonly Application[] | undefined;
  /** Why they could not be read; null: they could. */
  error: string | null;
  /** Reads them again. */
  load: () => Promise<void>;
}

/**
 * Reads the applications once, and again when one is named that is not among them.
 * @param named ids of applications that are shown
 */
export function useApplications(named: readonly string[] = []): Applications {
  const [state, setState] = useState<Omit<Applications, "load">>({ list: undefined, error: null });
  const asked = useRef<Set<string> | null>(null);
  const load = async () => {
    try {
      setState({ list: await readAll(), error: null });
    } catch (error) {
      setState((before) => ({ ...before, error: asCallError(error).message }));
    }
  };
  const unknown = named.filter((id) => !asked.current?.has(id));
  useEffect(() => {
    if (asked.current && unknown.length === 0) return;
    asked.current = new Set([...(asked.current ?? []), ...named]);
    void load();
  }, [unknown.join()]);
  return { ...state, load };
}

/** The name of an application; its id, as long as the name is not known. */
export function applicationName({ list }: Applications, id: string): string {
  return list?.find((one) => one.id === id)?.name ?? id;
}

async function readAll(): Promise<Application[]> {
  const all: Application[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES; page += 1) {
    const query: { limit: number; cursor?: string } = { limit: 100, ...(cursor && { cursor }) };
    const answer: { data: Application[]; next_cursor: string | null } = await result(
      listApplications({ query }),
    );
    all.push(...answer.data);
    cursor = answer.next_cursor;
    if (cursor === null) break;
  }
  return all;
}
