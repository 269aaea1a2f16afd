/** Lists that are live: their rows, their pages, how current they are, and what to do when they are empty. */
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { roughly } from "../durations";
import type { Live, LiveState } from "../live";
import { href } from "../routes";
import { serviceNow } from "../service-clock";
import { Command } from "./text";

/** From this age on a list says how old it is. Milliseconds. */
const OLD_MS = 5_000;

interface FreshnessProps {
  state: LiveState<unknown>;
  /** Another list of the page says already that it updates: this one speaks only if it does not. */
  quiet?: boolean;
}

/** Says whether what is shown is current, and if not, since when and why. */
export function Freshness({ state, quiet = false }: FreshnessProps) {
  // Reading the clock makes this line count on.
  const now = serviceNow.value && Date.now();
  const age = now - state.at;
  if (state.error === null && (state.value === undefined || age < OLD_MS)) {
    if (state.value === undefined) return <p class="freshness">Loading …</p>;
    return quiet ? null : <p class="freshness">Updates by itself</p>;
  }
  const why = state.error?.message ?? "It has not answered since.";
  return (
    <p class="freshness old">
      {state.value === undefined ? "" : `Last updated ${roughly(age)} ago. `}
      <span role="status">{why}</span>
    </p>
  );
}

/** One column of a list. */
export interface Column<Row> {
  title: string;
  show: (row: Row) => ComponentChildren;
  /** Numbers stand at the right. */
  numeric?: boolean;
}

interface ListProps<Row> {
  /** What the list is of, for those who hear it. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
}

/** The rows. On a narrow screen each row is a card. */
export function List<Row>({ label, columns, rows, keyOf }: ListProps<Row>) {
  return (
    <table class="list" aria-label={label}>
      <thead>
        <tr>
          {columns.map(({ title, numeric }) => (
            <th scope="col" key={title} class={numeric ? "numeric" : undefined}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ title, show, numeric }) => (
              <td key={title} data-label={title} class={numeric ? "numeric" : undefined}>
                {/* One element: on a narrow screen it stands beside the title. */}
                <div>{show(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface EmptyProps {
  children: ComponentChildren;
  /** What to paste into a terminal; several are for one after the other. */
  call?: string | readonly string[];
}

/** What an empty list says: how to get the first entry, with the call to paste. */
export function Empty({ children, call = [] }: EmptyProps) {
  const calls = [call].flat();
  const count = calls.length > 1 ? (index: number) => ` ${index + 1}` : () => "";
  return (
    <div class="empty">
      <p>{children}</p>
      {calls.map((text, index) => (
        <p key={text}>
          <Command text={text} label={`the call${count(index)}`} />
        </p>
      ))}
      {calls.some((text) => text.includes("$KEY")) && (
        <p class="hint">
          Put the token of an <a href={href("keys")}>API key</a> in place of <code>$KEY</code>.
        </p>
      )}
    </div>
  );
}

/** A call to paste into a terminal. `KEY` stands for the API key. */
export function curl(method: string, path: string, body?: object): string {
  const parts = [
    `curl -s -X ${method} ${forShell(`${location.origin}${path}`)}`,
    `-H "Authorization: token $KEY"`,
  ];
  if (body) {
    parts.push(`-H "Content-Type: application/json"`, `-d ${forShell(JSON.stringify(body))}`);
  }
  return parts.join(" ");
}

/** The text as one word of a shell: what stands in an address must not become a command. */
function forShell(text: string): string {
  return /^[\w./:%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Where a list with cursors stands: the cursors of the pages before, and of this one (null: the first). */
export interface Cursors {
  current: string | null;
  number: number;
  next: (cursor: string) => void;
  previous: () => void;
  first: () => void;
}

/**
 * Pages of a list with cursors.
 * @param filter what the list depends on: when it changes, the list begins at its first page
 */
export function useCursors(filter = ""): Cursors {
  const [at, setAt] = useState<{ filter: string; cursors: readonly string[] }>({
    filter,
    cursors: [],
  });
  const cursors = at.filter === filter ? at.cursors : [];
  return {
    current: cursors.at(-1) ?? null,
    number: cursors.length + 1,
    next: (cursor) => setAt({ filter, cursors: [...cursors, cursor] }),
    previous: () => setAt({ filter, cursors: cursors.slice(0, -1) }),
    first: () => setAt({ filter, cursors: [] }),
  };
}

interface PagerProps {
  cursors: Cursors;
  /** The cursor of the next page; null or undefined: this is the last one. */
  next: string | null | undefined;
  /** What the buttons say, where the list does not begin with what is newest. */
  words?: readonly [previous: string, next: string];
}

/** The buttons between pages. Nothing, if there is one page only. */
export function Pager({ cursors, next, words = ["Newer", "Older"] }: PagerProps) {
  if (cursors.number === 1 && !next) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled={cursors.number === 1} onClick={cursors.previous}>
        {words[0]}
      </button>
      <span>Page {cursors.number}</span>
      <button type="button" disabled={!next} onClick={() => next && cursors.next(next)}>
        {words[1]}
      </button>
    </nav>
  );
}

interface LiveListProps<T> extends Pick<FreshnessProps, "quiet"> {
  live: Live<T>;
  /** Draws what was answered. */
  children: (value: T) => JSX.Element;
}

/** Something live: how current it is, and below it what was answered last. */
export function LiveView<T>({ live, quiet, children }: LiveListProps<T>) {
  const state = live.state.value;
  return (
    <>
      <Freshness state={state} quiet={quiet} />
      {state.value !== undefined && children(state.value)}
    </>
  );
}
