/**
 * The rooms of `src/` in their one order: a room imports only rooms that stand before it, types
 * included. `.dependency-cruiser.mjs` makes lint rules of this list, and ARCHITECTURE.md prints it.
 */
export const ROOMS = [
  "platform",
  "db",
  "outbound",
  "once",
  "dead-letters",
  "events",
  "session",
  "keys",
  "relay-permissions",
  "devices",
  "sources",
  "organisations",
  "operators",
  "relay",
  "pairing",
  "session-object",
  "relay-nodes",
  "webhooks",
  "journals",
  "http",
  "surfaces",
  "openapi",
  "sweep",
  "app",
  "queues",
  "worker",
];

/** Rooms that are a single file of `src/`. */
const FILES = new Set(["app", "queues", "worker"]);

/** What pure files must not import: storage and network. The types of the tables' columns they may. */
const IMPURE =
  "^(cloudflare:|drizzle-orm|node_modules/drizzle-orm|src/(db/(?!schema/)|session-object/))";

/** The path of a room, as a regular expression. */
function at(room) {
  return FILES.has(room) ? `src/${room}\\.ts$` : `src/${room}/`;
}

/**
 * The rules for dependency-cruiser.
 * @param {{ pure: readonly string[] }} files the paths of the files that call themselves pure
 * @returns {import("dependency-cruiser").IForbiddenRuleType[]}
 */
export function roomRules({ pure }) {
  const order = ROOMS.slice(0, -1).map((room, i) => ({
    name: `${room} imports only what stands before it`,
    severity: "error",
    comment:
      `${FILES.has(room) ? `src/${room}.ts` : `src/${room}/`} may import ` +
      `${i === 0 ? "no other room" : `only ${ROOMS.slice(0, i).join(", ")}`}. Move what both need into one ` +
      "of these, the one that it belongs to; or pass it in as a parameter.",
    from: { path: `^${at(room)}` },
    to: {
      path: `^(${ROOMS.slice(i + 1)
        .map(at)
        .join("|")})`,
    },
  }));
  return [
    ...order,
    {
      name: "every file has a room",
      severity: "error",
      comment:
        "Put the file into a room of scripts/rooms.mjs, or add the room there and say what it is.",
      from: { path: "^src/", pathNot: `^(${ROOMS.map(at).join("|")})` },
      to: {},
    },
    {
      name: "no circle of files",
      severity: "error",
      comment: "Move what both files need into a third one that imports neither.",
      from: {},
      to: { circular: true },
    },
    {
      name: "pure files stay pure",
      severity: "error",
      comment:
        "This file calls itself pure: it has no clock, storage or network. Pass in what it needs, or put " +
        "the code into the file that calls it.",
      from: { path: pure.map((path) => `^${path.replaceAll(".", "\\.")}$`) },
      to: { path: IMPURE },
    },
  ];
}
