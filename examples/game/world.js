/** The game's rules, without network and screen. The host keeps the world; all others get a copy. */

/** The field, in its own units. */
export const FIELD = { width: 1200, height: 900 };
/** How far a player reaches from the middle. */
export const RADIUS = 42;
/** Units a second. */
export const SPEED = 560;
const STAR_RADIUS = 30;
export const LONGEST_NAME = 16;

/**
 * A player, as all see them. `away`: their connection is gone, and they may come back.
 * @typedef {{ name: string, x: number, y: number, score: number, away: boolean }} Player
 * @typedef {{ x: number, y: number }} Place
 * @typedef {{ host: number, star: Place, players: Record<string, Player> }} World players by connection id
 */

/**
 * A world without players.
 * @param {number} host the connection id of its host
 * @returns {World}
 */
export function newWorld(host) {
  return { host, star: somewhere(), players: {} };
}

/**
 * Notes where a player says they are. Whoever touches the star gets a point, and the star moves.
 * @param {World} world is changed
 * @param {number} id
 * @param {unknown} said what came over the network: anything
 */
export function place(world, id, said) {
  const { name, x, y } = /** @type {any} */ (said) ?? {};
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  const before = world.players[id];
  const player = {
    ...inField({ x, y }),
    name: cleanName(name),
    score: before?.score ?? 0,
    away: false,
  };
  if (Math.hypot(player.x - world.star.x, player.y - world.star.y) < RADIUS + STAR_RADIUS) {
    player.score += 1;
    world.star = somewhere();
  }
  world.players[id] = player;
}

/**
 * A name that can be shown.
 * @param {unknown} name
 */
export function cleanName(name) {
  return (
    // Not String(name): of an object that says it has no toString, that throws.
    (typeof name === "string" ? name : "").replace(/\s+/g, " ").trim().slice(0, LONGEST_NAME) ||
    "Player"
  );
}

/**
 * The nearest place on the field.
 * @param {Place} place
 * @returns {Place}
 */
export function inField({ x, y }) {
  return {
    x: Math.round(Math.min(Math.max(x, RADIUS), FIELD.width - RADIUS)),
    y: Math.round(Math.min(Math.max(y, RADIUS), FIELD.height - RADIUS)),
  };
}

/** A place on the field by chance, not at its edge. */
export function somewhere() {
  return inField({
    x: FIELD.width * (0.1 + 0.8 * Math.random()),
    y: FIELD.height * (0.1 + 0.8 * Math.random()),
  });
}
