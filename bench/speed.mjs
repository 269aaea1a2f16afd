/** The part `speed`: what calls and echoes cost beside reference Workers, in turns (see `comparison.mjs`). */

import { comparedCalls } from "./compared-calls.mjs";
import { compare, measureRounds, sender } from "./comparison.mjs";
import { openEchoes, RELAYS } from "./echoes.mjs";
import { print } from "./figures.mjs";
import { Fixtures } from "./fixtures.mjs";
import { Receiver } from "./receiver.mjs";
import { serve, serveReferences } from "./server.mjs";

/** As many as no bench can send, so that each message is counted as it is in a deployment. */
const NO_LIMITS = {
  RELAY_BYTES_PER_SECOND: "1000000000",
  RELAY_BURST_BYTES: "1000000000",
  RELAY_MESSAGES_PER_SECOND: "1000000000",
  RELAY_BURST_MESSAGES: "1000000000",
  RELAY_UNHEARD_BYTES: "1000000000",
};
const ECHO_BYTES = [64, 1_024];
/** An echo is so much cheaper than a request. */
const ECHOES_OF_A_REQUEST = 20;

/**
 * Measures. All processes are started several times, because the runtime compiles the same code better in one
 * start than in another.
 * @param plan how many `starts`, and of each: how many `rounds`, how many requests in a turn (`count`), and how many
 *   before (`warmUp`). With `isTrial` the figures mean nothing: then they are not printed
 * @param other another version of Drawbridge, which is measured as well; null: none
 * @returns a row for each call and limit: the part of the limit that is reached, by CPU and by time, its aim, and
 *   the control: the same of the first limit, beside itself in another process
 */
export async function measureSpeed(built, plan, other) {
  const measured = new Map();
  for (let start = 0; start < plan.starts; start++) {
    for (const { name, limits, rounds } of await measureStart(built, plan, other)) {
      const known = measured.get(name)?.rounds ?? {};
      const all = Object.keys(rounds).map((one) => [one, [...(known[one] ?? []), ...rounds[one]]]);
      measured.set(name, { limits, rounds: Object.fromEntries(all) });
    }
  }
  return [...measured].flatMap(([name, { limits, rounds }]) =>
    toRows(name, compare(rounds), limits, plan),
  );
}

/** Of each call and echo: its limits, and the rounds (see `measureRounds`). */
async function measureStart(built, plan, other) {
  const receiver = await Receiver.open();
  const servers = [];
  try {
    const start = async (starting) => {
      servers.push(await starting);
      return servers.at(-1);
    };
    const drawbridge = await start(serve(built, NO_LIMITS));
    const reference = await start(serveReferences(built));
    const control = await start(serveReferences(built));
    const before = other && (await start(serve(other, NO_LIMITS)));
    const fixtures = await Fixtures.make(drawbridge);
    const places = { drawbridge, reference, control, before };
    const at = { references: [reference, control], others: before ? [before] : [] };
    const measured = [];
    for (const call of await comparedCalls(fixtures, at, receiver.url("test"))) {
      measured.push(await measureCall(call, places, plan));
    }
    for (const bytes of ECHO_BYTES) {
      measured.push(await measureEchoes(bytes, places, fixtures.headers, plan));
    }
    return measured;
  } finally {
    receiver.close();
    for (const server of servers) await server.stop();
  }
}

async function measureCall({ name, drawbridge, limits }, places, plan) {
  const runners = { Drawbridge: sender(places.drawbridge, drawbridge) };
  for (const limit of limits) runners[limit.name] = sender(places.reference, limit);
  runners.control = sender(places.control, limits[0]);
  if (places.before) runners.before = sender(places.before, drawbridge);
  return { name, limits, rounds: await measureRounds(runners, plan) };
}

async function measureEchoes(bytes, places, headers, { rounds, count, warmUp = count }) {
  const { drawbridge, reference, control, before } = places;
  const limits = [
    { name: "a relay by hand", aim: 0.98 },
    { name: "partyserver", aim: 1 },
  ];
  const runners = {
    Drawbridge: await openEchoes(drawbridge, RELAYS.drawbridge, bytes, headers),
    "a relay by hand": await openEchoes(reference, RELAYS.relay, bytes),
    partyserver: await openEchoes(reference, RELAYS.party, bytes),
    control: await openEchoes(control, RELAYS.relay, bytes),
  };
  if (before) runners.before = await openEchoes(before, RELAYS.drawbridge, bytes, headers);
  try {
    const plan = {
      rounds,
      count: count * ECHOES_OF_A_REQUEST,
      warmUp: warmUp * ECHOES_OF_A_REQUEST,
    };
    const name = `relayed echo, ${bytes} B`;
    return { name, limits, rounds: await measureRounds(runners, plan) };
  } finally {
    for (const runner of Object.values(runners)) runner.close();
  }
}

function toRows(name, { costs, of }, limits, { isTrial = false }) {
  const control = of("control", limits[0].name);
  return limits.map(({ name: limit, aim = null }) => {
    const row = {
      name,
      limit,
      aim,
      reached: of("Drawbridge", limit),
      before: costs.before ? of("before", limit) : null,
      control,
      cost: costs.Drawbridge,
      limitCost: costs[limit],
    };
    if (isTrial) return row;
    const { cpu, wall } = row.reached;
    const aimed = aim === null ? "" : `, aim ${aim}`;
    print(
      name,
      cpu.toFixed(2),
      `of ${limit} (by time ${wall.toFixed(2)}, control ${control.cpu.toFixed(2)}${aimed})`,
    );
    return row;
  });
}
