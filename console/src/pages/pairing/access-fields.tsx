/** The roles and scopes that a device asks for, to be ticked. */
import type { Device, PairingRequest } from "drawbridge-client";
import { Badge, Untrusted } from "../../parts/text";
import { findScopeNotHeld, implies } from "../../scopes";
import { may, signedIn } from "../../signed-in";
import { type Choice, type Option, optionsOf, toggled } from "./access-choice";

interface AccessFieldsProps {
  request: PairingRequest;
  choice: Choice;
  change: (choice: Choice) => void;
  /** The device as it is paired now; null: it is not, or it is not known. */
  device: Device | null;
  disabled: boolean;
}

/** One group for each role. All is ticked at first. */
export function AccessFields({ request, choice, change, device, disabled }: AccessFieldsProps) {
  const several = request.roles.length > 1;
  return (
    <div class="access">
      {request.roles.map((role) => {
        const options = optionsOf(role, request, choice);
        const isNew = device !== null && !device.roles.includes(role);
        const name = (
          <>
            Role <Untrusted text={role} /> {isNew && <Badge kind="warn">new</Badge>}
          </>
        );
        return (
          <fieldset key={role} disabled={disabled}>
            <legend>
              {several ? (
                <label>
                  <input
                    type="checkbox"
                    checked={choice.roles.has(role)}
                    onChange={() => change(toggled(choice, "roles", role))}
                  />{" "}
                  {name}
                </label>
              ) : (
                name
              )}
            </legend>
            {options.length === 0 && <span class="muted">no scopes</span>}
            {options.map((option) => (
              <ScopeField
                key={option.scope}
                option={option}
                checked={choice.scopes.has(option.scope)}
                disabled={!choice.roles.has(role)}
                toggle={() => change(toggled(choice, "scopes", option.scope))}
                device={device}
              />
            ))}
          </fieldset>
        );
      })}
    </div>
  );
}

interface ScopeFieldProps {
  option: Option;
  checked: boolean;
  disabled: boolean;
  toggle: () => void;
  device: Device | null;
}

function ScopeField({ option, checked, disabled, toggle, device }: ScopeFieldProps) {
  const { scope, partOf, includes } = option;
  const isNew = device !== null && !implies(device.scopes, scope);
  return (
    <label class={partOf === null ? "tick" : "tick narrower"}>
      <input type="checkbox" checked={checked} disabled={disabled} onChange={toggle} />
      <span>
        <code>
          <Untrusted text={scope} />
        </code>{" "}
        {includes.length > 0 && <span class="muted">also allows {inShort(includes)}</span>}{" "}
        {partOf !== null && <span class="muted">part of {partOf}</span>}{" "}
        {isNew && <Badge kind="warn">new</Badge>}{" "}
        {!isHeld(scope) && <Badge>your key lacks it</Badge>}
      </span>
    </label>
  );
}

/** `operator.admin` has many: all that the role has. */
function inShort(includes: readonly string[]): string {
  return includes.length > 2 ? "all of operator" : includes.join(" and ");
}

function isHeld(scope: string): boolean {
  const now = signedIn.value;
  if (now.state !== "in" || !may("devices:approve")) return true;
  return findScopeNotHeld(now.person.permissions, [scope]) === null;
}
