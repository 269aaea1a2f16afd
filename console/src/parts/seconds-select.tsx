/** Choosing a time among a few. */

/** One time that can be chosen. */
export interface Time {
  seconds: number;
  words: string;
}

interface SecondsSelectProps {
  times: readonly Time[];
  value: number;
  change: (seconds: number) => void;
  id?: string;
  "aria-describedby"?: string | undefined;
}

/** A list to choose from. Its label is around it, or is that of a `Field`. */
export function SecondsSelect({ times, value, change, ...attributes }: SecondsSelectProps) {
  return (
    <select
      {...attributes}
      value={value}
      onChange={(event) => change(Number(event.currentTarget.value))}
    >
      {times.map(({ seconds, words }) => (
        <option key={seconds} value={seconds}>
          {words}
        </option>
      ))}
    </select>
  );
}
