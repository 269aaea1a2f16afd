/**
 * The rule of the rooms, tried on small trees: which imports it refuses, and with which message.
 */
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import configuration from "../.dependency-cruiser.mjs";
import { ROOMS, roomRules } from "../scripts/rooms.mjs";

/** One import each: the file, the line with the import, and the rule that refuses it. */
const REFUSED: [from: string, line: string, rule: string][] = [
  ["src/db/a.ts", 'import { to } from "../events/to";', "db imports only what stands before it"],
  [
    "src/db/b.ts",
    'import type { To } from "../events/to";',
    "db imports only what stands before it",
  ],
  [
    "src/platform/a.ts",
    'import { to } from "../db/to";',
    "platform imports only what stands before it",
  ],
  [
    "src/outbound/a.ts",
    'export { to } from "../webhooks/to";',
    "outbound imports only what stands before it",
  ],
  [
    "src/session/a.ts",
    'import type { To } from "../session-object/to";',
    "session imports only what stands before it",
  ],
  [
    "src/session/b.ts",
    'import { to } from "../sources/to";',
    "session imports only what stands before it",
  ],
  [
    "src/keys/a.ts",
    'import { to } from "../operators/to";',
    "keys imports only what stands before it",
  ],
  [
    "src/devices/a.ts",
    'import { to } from "../pairing/to";',
    "devices imports only what stands before it",
  ],
  [
    "src/relay/a.ts",
    'import { to } from "../session-object/to";',
    "relay imports only what stands before it",
  ],
  [
    "src/webhooks/a.ts",
    'import { to } from "../http/to";',
    "webhooks imports only what stands before it",
  ],
  [
    "src/http/a.ts",
    'import type { To } from "../surfaces/to";',
    "http imports only what stands before it",
  ],
  [
    "src/http/b.ts",
    'const to = () => import("../surfaces/to"); export { to };',
    "http imports only what stands before it",
  ],
  [
    "src/surfaces/v1/a.ts",
    'import { to } from "../../app";',
    "surfaces imports only what stands before it",
  ],
  [
    "src/app.ts",
    'import { to } from "./worker"; export { to };',
    "app imports only what stands before it",
  ],
  ["src/utils/a.ts", 'import { to } from "../db/to";', "every file has a room"],
  [
    "src/relay/pure.ts",
    'import { env } from "cloudflare:workers"; export { env };',
    "pure files stay pure",
  ],
  ["src/relay/pure.ts", 'import { to } from "../db/to";', "pure files stay pure"],
  ["src/keys/aa.ts", 'import { back } from "./back"; export { back };', "no circle of files"],
];

const ALLOWED: [from: string, line: string][] = [
  ["src/events/c.ts", 'import { to } from "../db/to";'],
  ["src/surfaces/v1/c.ts", 'import { to } from "../../http/to";'],
  ["src/session-object/c.ts", 'import type { To } from "../relay/to";'],
];

const tree = mkdtempSync(join(tmpdir(), "rooms-"));
let result: ICruiseResult;

beforeAll(async () => {
  const write = (path: string, text: string) => {
    const file = join(tree, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, existsSync(file) ? `${readFileSync(file, "utf8")}\n${text}` : text);
  };
  for (const room of ROOMS) {
    const path = ["app", "queues", "worker"].includes(room)
      ? `src/${room}.ts`
      : `src/${room}/to.ts`;
    write(path, "export const to = 1; export type To = number;");
  }
  write("src/keys/back.ts", 'import { circle } from "./aa"; export const back = circle;');
  for (const [from, line] of [...REFUSED, ...ALLOWED]) write(from, line);
  const { output } = await cruise(["src"], {
    baseDir: tree,
    validate: true,
    ruleSet: { forbidden: roomRules({ pure: ["src/relay/pure.ts"] }) },
    tsPreCompilationDeps: true,
    parser: "swc",
  });
  result = output as ICruiseResult;
});

afterAll(() => rmSync(tree, { recursive: true, force: true }));

const violationsOf = (from: string) =>
  result.summary.violations.filter((violation) => violation.from === from);

describe("an import of a later room", () => {
  test.each(REFUSED)("is refused in %s: %s", (from, _line, rule) => {
    expect(violationsOf(from).map((violation) => violation.rule.name)).toContain(rule);
  });

  test("is refused with a sentence that says where the thing belongs", () => {
    const rules = roomRules({ pure: [] });
    for (const { rule } of result.summary.violations) {
      const comment = rules.find(({ name }) => name === rule.name)?.comment;
      expect(comment, rule.name).toMatch(/Move|Put|Pass/);
    }
    expect(rules.find(({ name }) => name?.startsWith("events "))?.comment).toContain(
      "src/events/ may import only platform, db, outbound, once, dead-letters.",
    );
  });
});

test.each(ALLOWED)("an import of an earlier room is allowed: in %s, %s", (from) => {
  expect(violationsOf(from)).toEqual([]);
});

test("ARCHITECTURE.md prints the order of the rooms that the linter uses", () => {
  expect(readFileSync("ARCHITECTURE.md", "utf8")).toContain(ROOMS.join(" · "));
});

test("every file that calls itself pure is linted as pure, for imports and for clocks", () => {
  const pure = globSync("src/**/*.ts").filter((path) =>
    /^\/\*\*(?:(?!\*\/)[\s\S])*\bPure[.:]/.test(readFileSync(path, "utf8")),
  );
  const { overrides } = JSON.parse(readFileSync("biome.json", "utf8"));
  expect(overrides[0].includes).toEqual(pure.sort());
  const rule = configuration.forbidden.find(({ name }) => name === "pure files stay pure");
  expect(rule?.from.path).toHaveLength(pure.length);
  expect(pure.length).toBeGreaterThan(10);
});
