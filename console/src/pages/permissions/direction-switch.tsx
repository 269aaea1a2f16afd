/** The switch "plant-a may send to plant-b", and which side is missing where it is off. */
import { createRelayPermission, updateRelayPermission } from "drawbridge-client";
import { useId } from "preact/hooks";
import { CallError, result } from "../../call";
import { isSecondOfDouble, Needs, useAction } from "../../parts/action";
import { Badge } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";
import { type Direction, neededBy, type Side, type Step, sideInWords, stepsTo } from "./pair";

interface DirectionSwitchProps {
  direction: Direction;
  changed: () => Promise<void>;
}

/** One direction. On means that both sides allow it. */
export function DirectionSwitch({ direction, changed }: DirectionSwitchProps) {
  const { from, to, on, sides } = direction;
  const steps = stepsTo(!on, direction);
  const { running, error, start } = useAction(() => take(steps).finally(() => changed()));
  const id = useId();
  const unregistered = sides.filter(({ state }) => state === "unregistered");
  const missing = steps.map(neededBy).find((permission) => !may(permission));
  const cannot = unregistered.length > 0 || missing !== undefined;
  return (
    <section class="card" aria-label={`From ${from} to ${to}`}>
      <button
        type="button"
        role="switch"
        class="switch"
        aria-checked={on}
        aria-busy={running}
        aria-describedby={id}
        disabled={cannot}
        onClick={(event) => {
          if (!isSecondOfDouble(event)) void start();
        }}
      >
        <span class="track" aria-hidden="true" />
        <span>
          {from === to ? (
            <>
              Users of <code>{from}</code> may send to each other
            </>
          ) : (
            <>
              <code>{from}</code> may send to <code>{to}</code>
            </>
          )}
        </span>
        <strong>{on ? "on" : "off"}</strong>
        {running && <span class="spinner" aria-hidden="true" />}
      </button>
      {error && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
      <div id={id}>
        <ul class="sides">
          {sides.map((side) => (
            <li key={side.direction}>
              <SideState side={side} />
            </li>
          ))}
        </ul>
        {missing !== undefined && (
          <p class="muted">
            To turn it {on ? "off" : "on"}, your API key <Needs permission={missing} />.
          </p>
        )}
      </div>
    </section>
  );
}

const WORDS = {
  enabled: { kind: "good", words: "enabled" },
  disabled: { kind: "warn", words: "disabled" },
  missing: { kind: "warn", words: "missing" },
  unregistered: { kind: "bad", words: "not registered" },
} as const;

function SideState({ side }: { side: Side }) {
  const { kind, words } = WORDS[side.state];
  if (side.state === "unregistered") {
    return (
      <>
        <Badge kind={kind}>{words}</Badge> <code>{side.connectionId}</code> is no connection here:{" "}
        <a href={href("permissions")}>register it</a> first.
      </>
    );
  }
  return (
    <>
      <Badge kind={kind}>{words}</Badge> {sideInWords(side)}
    </>
  );
}

/**
 * Takes the steps, all at once.
 * @throws CallError which says what was done and what not
 */
async function take(steps: readonly Step[]): Promise<void> {
  const outcomes = await Promise.allSettled(steps.map(takeOne));
  const said = steps.map((step, index) => ({ step, outcome: outcomes[index] }));
  const failed = said.flatMap(({ step, outcome }) =>
    outcome?.status === "rejected"
      ? [`Not ${DONE[step.what]}: “${sideInWords(step.side)}”. ${outcome.reason.message}`]
      : [],
  );
  if (failed.length === 0) return;
  const done = said.flatMap(({ step, outcome }) =>
    outcome?.status === "fulfilled" ? [`But ${DONE[step.what]}: “${sideInWords(step.side)}”.`] : [],
  );
  throw new CallError([...failed, ...done].join(" "), null, null);
}

/** One step. Where somebody else was faster, what they have made is changed, or made again. */
async function takeOne({ side, what }: Step): Promise<unknown> {
  const { state: _, ...path } = side;
  const update = (enabled: "true" | "false") =>
    result(updateRelayPermission({ path, body: { enabled } }));
  const create = () => result(createRelayPermission({ body: { ...path, enabled: "true" } }));
  if (what === "disable") return update("false");
  if (what === "enable") return update("true").catch(unless("permission-not-found", create));
  return create().catch(unless("permission-exists", () => update("true")));
}

function unless(code: string, other: () => Promise<unknown>) {
  return (error: unknown) => {
    if (error instanceof CallError && error.code === code) return other();
    throw error;
  };
}

const DONE = { create: "created", enable: "enabled", disable: "disabled" } as const;
