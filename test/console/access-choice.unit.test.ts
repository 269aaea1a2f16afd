/** What an operator grants of what a device asks for: from what is ticked. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  approveWords,
  type Choice,
  everything,
  grantedBy,
  optionsOf,
  toggled,
} from "../../console/src/pages/pairing/access-choice";
import { cursorBefore, hasMoved } from "../../console/src/pages/pairing/request-order";
import { areImpliedBy, OPERATOR_SCOPES } from "../../src/devices/scopes";

const asked = { roles: ["operator"], scopes: ["operator.read", "operator.admin"] };

/** The choice after these were pressed, one after the other. */
function choiceAfter(...names: string[]): Choice {
  return names.reduce((choice, name) => toggled(choice, "scopes", name), everything(asked));
}

describe("the choice of an operator", () => {
  test("is everything at first", () => {
    expect(grantedBy(asked, everything(asked))).toEqual(asked);
    expect(approveWords(asked, everything(asked))).toBe("Approve operator.read and operator.admin");
  });

  test("offers what a wide scope includes as soon as that is not ticked, and not before", () => {
    const names = (choice: Choice) =>
      optionsOf("operator", asked, choice).map(({ scope }) => scope);
    expect(names(everything(asked))).toEqual(asked.scopes);
    expect(names(choiceAfter("operator.admin"))).toEqual([
      ...asked.scopes,
      "operator.write",
      "operator.approvals",
      "operator.questions",
      "operator.pairing",
      "operator.talk",
      "operator.talk.secrets",
    ]);
  });

  test("forgets the narrower one when the wide one is ticked again", () => {
    const narrower = choiceAfter("operator.admin", "operator.talk");
    expect(grantedBy(asked, narrower).scopes).toEqual(["operator.read", "operator.talk"]);
    const again = toggled(narrower, "scopes", "operator.admin");
    expect(grantedBy(asked, again)).toEqual(asked);
  });

  test("has no scope of a role that is not ticked", () => {
    const several = { roles: ["node", "operator"], scopes: ["node.run", "operator.read"] };
    const choice = toggled(everything(several), "roles", "node");
    expect(grantedBy(several, choice)).toEqual({ roles: ["operator"], scopes: ["operator.read"] });
    expect(approveWords(several, choice)).toBe("Approve operator.read only");
  });

  test.each([
    [["operator.read"], [], "Approve operator.read"],
    [["operator.read", "operator.talk", "operator.pairing"], [], "Approve all 3 scopes"],
    [["operator.read"], ["operator.read"], "Approve without scopes"],
    [
      ["operator.read", "operator.talk", "operator.pairing"],
      ["operator.read"],
      "Approve operator.talk and operator.pairing only",
    ],
    [
      ["operator.read", "operator.talk", "operator.pairing", "operator.questions"],
      ["operator.read"],
      "Approve 3 scopes only",
    ],
    [[`operator.${"a".repeat(64)}`], [], "Approve"],
    [[], [], "Approve"],
  ])("%j without %j is called %s", (scopes, unticked, words) => {
    const request = { roles: ["operator"], scopes };
    const choice = unticked.reduce(
      (before, scope) => toggled(before, "scopes", scope),
      everything(request),
    );
    expect(approveWords(request, choice)).toBe(words);
  });

  test("never is more than what was asked for", () => {
    const scope = fc.constantFrom(...Object.keys(OPERATOR_SCOPES), "node.run", "node.files.read");
    const scopes = fc.uniqueArray(scope);
    fc.assert(
      fc.property(scopes, fc.array(scope), (wanted, pressed) => {
        const request = { roles: ["operator", "node"], scopes: wanted };
        const choice = pressed.reduce(
          (before, name) => toggled(before, "scopes", name),
          everything(request),
        );
        const granted = grantedBy(request, choice).scopes;
        expect(areImpliedBy(granted, wanted)).toBe(true);
        expect(new Set(granted).size).toBe(granted.length);
      }),
    );
  });
});

describe("the order of requests", () => {
  test.each([
    ["pr-01a21576-a8c8-7ea6-9092-0a93a1d90052", "pr-01a21576-a8c8-7ea6-9092-0a93a1d90053"],
    ["pr-01a21576-a8c8-7ea6-9092-0a93a1d9005f", "pr-01a21576-a8c8-7ea6-9092-0a93a1d90060"],
    ["pr-01a21576-a8c8-7ea6-9092-ffffffffffff", "pr-01a21576-a8c8-7ea6-9093-000000000000"],
    ["pr-01a21579-ffff-ffff-ffff-ffffffffffff", "pr-01a2157a-0000-0000-0000-000000000000"],
  ])("a list behind the cursor of %s begins with it", (id, cursor) => {
    expect(cursorBefore(id)).toBe(cursor);
    expect(id < cursor).toBe(true);
  });

  test.each([
    ["nothing was shown", [], ["a"], false],
    ["nothing changes", ["b", "a"], ["b", "a"], false],
    ["one comes at the end", ["b"], ["b", "a"], false],
    ["one comes above", ["a"], ["b", "a"], true],
    ["the first one goes", ["b", "a"], ["a"], true],
    ["the last one goes", ["b", "a"], ["b"], false],
    ["another one takes the only place", ["a"], ["b"], true],
    ["all go", ["b", "a"], [], false],
  ])("where %s, a place has moved: %j to %j is %s", (_, before, after, moved) => {
    expect(hasMoved(before, after)).toBe(moved);
  });
});
