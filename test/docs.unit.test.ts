/** The documents: their links lead somewhere, and their lists name what the code has. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { EVENT_TYPES, type EventType } from "../src/events/event-types";
import { PERMISSIONS } from "../src/keys/permissions";
import { shownRefusals } from "../src/openapi/refusals";
import { CLOSE, FAULTS, MAX_PAYLOAD_BYTES, RELAY_STATE } from "../src/relay/protocol";
import { ownSurface } from "../src/surfaces/all";
import { rotateDeviceToken } from "../src/surfaces/v1/device-token-rotation";
import { EVENT_PAYLOADS } from "../src/surfaces/v1/event-payloads";
import { pairingByDevices } from "../src/surfaces/v1/pairing-by-devices";

const PAGES = [
  ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
  ...globSync("docs/**/*.md").sort(),
];

/** The text of a page without its blocks of code, in which nothing is a link or a heading. */
function prose(page: string): string {
  return readFileSync(page, "utf8").replace(/^```[\s\S]*?^```/gm, "");
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchors(page: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ""] of prose(page).matchAll(/^#+ (.+)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let n = 1; found.has(unique); n++) unique = `${anchor}-${n}`;
    found.add(unique);
  }
  return found;
}

/** What is wrong with a relative link; null: nothing. */
function problemOf(page: string, link: string): string | null {
  const [path = "", anchor] = link.split("#");
  const target = path === "" ? page : normalize(join(dirname(page), path));
  if (!existsSync(target)) return `${link}: there is no ${target}`;
  if (anchor !== undefined && !anchors(target).has(anchor)) {
    return `${link}: ${target} has no heading for #${anchor}`;
  }
  return null;
}

test.each(PAGES)("%s has no marks of a merge that was not finished", (page) => {
  expect(readFileSync(page, "utf8")).not.toMatch(/^(<{7}|={7}|>{7})( |$)/m);
});

describe("the links", () => {
  test.each(PAGES)("of %s lead to files and headings that exist", (page) => {
    const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
    const relative = links.filter((link) => !/^[a-z]+:/.test(link));
    expect(relative.map((link) => problemOf(page, link)).filter(Boolean)).toEqual([]);
  });

  test("are found wrong when they lead nowhere", () => {
    expect(problemOf("docs/README.md", "conventions.md#errors")).toBeNull();
    expect(problemOf("docs/README.md", "../README.md")).toBeNull();
    expect(problemOf("docs/README.md", "no-such-page.md")).toContain("there is no docs/no-such");
    expect(problemOf("docs/README.md", "conventions.md#no-such")).toContain("no heading for #no");
  });
});

test("docs/README.md names every page of docs/", () => {
  const index = readFileSync("docs/README.md", "utf8");
  const pages = globSync("docs/*.md").map((page) => page.slice("docs/".length));
  const missing = pages.filter((page) => page !== "README.md" && !index.includes(`(${page})`));
  expect(missing).toEqual([]);
});

describe("the catalogue of events in docs/webhooks.md", () => {
  const page = readFileSync("docs/webhooks.md", "utf8");
  const entries = [...page.matchAll(/^#### `(.+)`\n\n(.+)\n\n```json\n([\s\S]*?)```$/gm)];

  test("names exactly the events that there are", () => {
    const headings = [...page.matchAll(/^#### `(.+)`$/gm)].map(([, type]) => type);
    expect(headings.sort()).toEqual([...EVENT_TYPES].sort());
  });

  test("says of each when it is sent, with an example of its own type", () => {
    expect(entries.map(([, type]) => type).sort()).toEqual([...EVENT_TYPES].sort());
    for (const [, type = "", , example = ""] of entries) {
      const body = JSON.parse(example);
      // Tests of the format `ricloud` have another envelope; all others are Standard Webhooks.
      if (type === "webhook_config.test") continue;
      expect(Object.keys(body), type).toEqual(["type", "timestamp", "data"]);
      expect(body.type).toBe(type);
      expect(new Date(body.timestamp).toISOString()).toBe(body.timestamp);
    }
  });

  test("shows bodies that their schemas describe, field by field", () => {
    for (const [, type = "", , example = ""] of entries) {
      const body = JSON.parse(example);
      if (type === "webhook_config.test") continue;
      expect(EVENT_PAYLOADS[type as EventType].data.parse(body.data), type).toEqual(body.data);
    }
  });
});

test("docs/api-keys.md says of every permission what its holder may do, and of no other", () => {
  const page = readFileSync("docs/api-keys.md", "utf8");
  const table = /^\| permission \|[\s\S]*?\n\n/m.exec(page)?.[0] ?? "";
  const named = [...table.matchAll(/`([a-z-]+:[a-z-]+)`/g)].map(([, name]) => name);
  expect(named.sort()).toEqual([...PERMISSIONS].sort());
});

test("docs/pairing.md names every error that a device can get, with its status, and no other", () => {
  /** Errors of the rotation that operators get alone: a device's own token has none of these states. */
  const ofOperators = ["exceeds-approved", "role-not-approved", "token-revoked"];
  const errors = pairingByDevices.operations.flatMap((each) =>
    shownRefusals(each, ownSurface).entries(),
  );
  const ofRotation = Object.entries(rotateDeviceToken.refusals ?? {}).map(
    ([status, codes]) =>
      [Number(status), codes.filter((code) => !ofOperators.includes(code))] as const,
  );
  const expected = [...errors, ...ofRotation].flatMap(([status, codes]) =>
    codes.map((code) => `${status} ${code}`),
  );

  const page = readFileSync("docs/pairing.md", "utf8");
  const [, section = ""] = /^### Errors of the devices' side$([\s\S]*?)^#/m.exec(page) ?? [];
  // What stands in parentheses explains a code, and may name a call.
  const rows = [...section.matchAll(/^\| (\d[^|]*) \| (.*) \|$/gm)];
  const named = rows.flatMap(([, statuses = "", text = ""]) => {
    const codes = [...text.replace(/\([^)]*\)/g, "").matchAll(/`([\w-]+)`/g)];
    return codes.map(([, code]) => `${statuses} ${code}`);
  });
  expect(named.sort()).toEqual([...new Set(expected)].sort());
});

describe("docs/relay-protocol.md", () => {
  const page = readFileSync("docs/relay-protocol.md", "utf8");

  test("names every close code, and what a participant is told that may not send something", () => {
    const codes = [...page.matchAll(/^\| (\d{4}) \|/gm)].map(([, code]) => Number(code));
    expect([...new Set(codes)].sort()).toEqual(Object.values(CLOSE).sort());
    for (const { code, reason } of Object.values(FAULTS)) {
      expect(page).toMatch(new RegExp(`^\\| ${code} \\|.*\`${reason}\``, "m"));
    }
  });

  test("names every type of control message", () => {
    // A type has no values that could be listed, so its source is read.
    const source = readFileSync("src/relay/protocol.ts", "utf8");
    const union = /export type ControlMessage =([\s\S]*?);\n\n/.exec(source)?.[1] ?? "";
    const types = [...union.matchAll(/type: ([^;}]+)/g)].flatMap(([, names = ""]) =>
      [...names.matchAll(/"(\w+)"/g)].map(([, name]) => name),
    );
    expect(types).toContain("ready");
    const documented = [...page.matchAll(/\{"type":"(\w+)"/g)].map(([, name]) => name);
    expect([...new Set(documented)].sort()).toEqual(types.sort());
  });

  test("says the numbers of the states and the largest payload", () => {
    const states = Object.entries(RELAY_STATE).map(
      ([name, number]) =>
        `${number} ${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)}`,
    );
    expect(page).toContain(states.join(", "));
    expect(page).toContain(`0 to ${MAX_PAYLOAD_BYTES.toLocaleString("en")} bytes`);
  });
});
