/** The console's words for permissions, compared with the permissions that the service knows. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  HOSTING,
  inShort,
  OWN_NAME,
  ownNames,
  PERMISSION_GROUPS,
  whyNot,
} from "../../console/src/permission-words";
import { HOST_SESSIONS, OWN_PERMISSION, PERMISSIONS } from "../../src/keys/permissions";

const explained = PERMISSION_GROUPS.flatMap(({ permissions }) => permissions);
const all = () => true;

describe("the words for permissions", () => {
  it("are there for each permission of the service, once, and for no other", () => {
    expect(explained.map(({ name }) => name).sort()).toEqual([...PERMISSIONS].sort());
    expect(explained.filter(({ words }) => words.trim() === "")).toEqual([]);
  });

  it("know which permission stands alone, and which names are the owner's own", () => {
    expect(HOSTING).toBe(HOST_SESSIONS);
    expect(OWN_NAME.source).toBe(OWN_PERMISSION.source);
    expect(ownNames(["*", "keys:read", "accessFtp", "operator.read"])).toEqual([
      "accessFtp",
      "operator.read",
    ]);
  });

  it("are about permissions that the documents explain, too", () => {
    const page = readFileSync("docs/api-keys.md", "utf8");
    const missing = explained.filter(({ name }) => !page.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it.each([
    [[], "none"],
    [["keys:read"], "keys:read"],
    [["keys:read", "keys:write", "events:read"], "keys:read, keys:write and 1 more"],
    [["keys:read", "*"], "everything (*)"],
  ])("say %j in short", (permissions, words) => {
    expect(inShort(permissions)).toBe(words);
  });
});

describe("a permission can be chosen", () => {
  it("if the person holds it", () => {
    const holds = (name: string) => name === "keys:read";
    expect(whyNot("keys:read", [], [], holds)).toBeNull();
    expect(whyNot("keys:write", [], [], holds)).toBe("Your own key does not hold it.");
  });

  it("if the key has it already, and can always be taken away", () => {
    const holds = () => false;
    expect(whyNot("keys:write", [], ["keys:write"], holds)).toBeNull();
    expect(whyNot("keys:write", ["keys:write"], [], holds)).toBeNull();
  });

  it("if it stands alone where it must", () => {
    expect(whyNot(HOSTING, [], [], all)).toBeNull();
    expect(whyNot(HOSTING, ["keys:read"], [], all)).toMatch(/stands alone/);
    expect(whyNot("keys:read", [HOSTING], [], all)).toMatch(/stands alone/);
    expect(whyNot("*", [HOSTING], [], all)).toMatch(/stands alone/);
  });
});
