/** Choosing among the types of events: one in a filter, or several for a webhook endpoint. */
import { useId } from "preact/hooks";
import {
  changePatterns,
  EVENT_GROUPS,
  EVENT_WORDS,
  type EventGroup,
  isPattern,
  matchesPattern,
} from "../event-words";

interface EventSelectProps {
  /** The pattern that is chosen; null: all events. */
  value: string | null;
  change: (pattern: string | null) => void;
}

/** A filter by one type of events, or by all about the same kind of thing. */
export function EventSelect({ value, change }: EventSelectProps) {
  return (
    <label>
      Event
      <select value={value ?? ""} onChange={(event) => change(event.currentTarget.value || null)}>
        <option value="">All events</option>
        {value !== null && !isPattern(value) && <option value={value}>{value}</option>}
        {EVENT_GROUPS.map(({ title, all, parts, types }) => (
          <optgroup label={title} key={all}>
            {types.length > 1 && <option value={all}>{all}</option>}
            {[...parts, ...types].map((pattern) => (
              <option value={pattern} key={pattern}>
                {pattern}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

interface EventChoiceProps {
  /** The patterns that are chosen; null: all events. */
  value: readonly string[] | null;
  change: (patterns: string[] | null) => void;
}

/** Which events an endpoint hears of: all, or those that are ticked. */
export function EventChoice({ value, change }: EventChoiceProps) {
  const name = useId();
  return (
    <fieldset>
      <legend>Events</legend>
      <label class="tick">
        <input type="radio" name={name} checked={value === null} onChange={() => change(null)} />
        All events, also those of later versions
      </label>
      <label class="tick">
        <input
          type="radio"
          name={name}
          checked={value !== null}
          onChange={() => change(value === null ? [] : [...value])}
        />
        Only some
      </label>
      {value !== null &&
        EVENT_GROUPS.map((group) => (
          <GroupChoice key={group.all} group={group} value={value} change={change} />
        ))}
    </fieldset>
  );
}

function GroupChoice({
  group: { title, all, parts, types },
  value,
  change,
}: {
  group: EventGroup;
  value: readonly string[];
  change: (patterns: string[]) => void;
}) {
  const isChosen = (pattern: string) => value.includes(pattern);
  const isCovered = (pattern: string) => value.some((one) => matchesPattern(one, pattern));
  // A test goes to the endpoint that is tested, whatever it hears of.
  const shown = types.filter((type) => !type.endsWith(".test") || isChosen(type));
  if (shown.length === 0) return null;
  const count = shown.filter(isCovered).length;
  // In a small group a beginning says no more than the names themselves.
  const beginnings = parts.filter((part) => isChosen(part) || types.length > 4);
  const tick = (pattern: string, words: string) => (
    <label class="tick" key={pattern}>
      <input
        type="checkbox"
        checked={isCovered(pattern) || isChosen(pattern)}
        disabled={isCovered(pattern) && !isChosen(pattern)}
        onChange={(event) => change(changePatterns(value, pattern, event.currentTarget.checked))}
      />
      <span>
        <code>{pattern}</code> <span class="muted">{words}</span>
      </span>
    </label>
  );
  return (
    <details class="event-group">
      <summary>
        {title} <span class="muted">{isChosen(all) ? "all" : `${count} of ${shown.length}`}</span>
      </summary>
      {tick(all, "all of these, also those of later versions")}
      {beginnings.map((part) => tick(part, "all of these"))}
      {shown.map((type) => tick(type, EVENT_WORDS[type]))}
    </details>
  );
}
