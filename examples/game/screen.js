/** What is seen: the entry, the field with its players, and the panel beside it. */
import { FIELD } from "./world.js";

const COLOURS = 8;
/** How fast the others glide to where they were last seen: a share of the way, by e, a second. */
const GLIDE = 16;

/** @param {string} id */
const at = (id) => /** @type {any} */ (document.getElementById(id));

/** Discs on the field, by connection id: the element, and where it is. */
const discs = new Map();
let panelText = "";

/** Shows the entry, and what went wrong, if anything did. */
export function showLobby(problem = "") {
  at("game").hidden = true;
  at("lobby").hidden = false;
  showProblem(problem);
}

/** Says in the entry what went wrong; an empty text takes it away. */
export function showProblem(problem) {
  at("problem").textContent = problem;
  at("problem").hidden = problem === "";
}

/** Shows that something is being waited for, or not any more. */
export function showBusy(isBusy) {
  for (const id of ["host", "join"]) at(id).disabled = isBusy;
  at("entry").setAttribute("aria-busy", String(isBusy));
}

/** Shows the field. */
export function showGame(code) {
  for (const { element } of discs.values()) element.remove();
  discs.clear();
  panelText = "";
  at("news").textContent = "";
  at("lobby").hidden = true;
  at("game").hidden = false;
  at("shown-code").textContent = code;
  at("field").focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** Tells the player what has happened. */
export function say(text) {
  at("news").textContent = text;
}

/**
 * Draws the field as it is now.
 * @param {import("./match.js").Match} match
 * @param {number} seconds since the last time
 */
export function drawField(match, seconds) {
  const players = shownPlayers(match);
  put(at("star"), match.world?.star ?? { x: FIELD.width / 2, y: FIELD.height / 2 });
  at("star").hidden = !match.world;
  const share = 1 - Math.exp(-GLIDE * seconds);
  for (const player of players) {
    let disc = discs.get(player.id);
    if (!disc) {
      disc = { element: newDisc(player.id), x: player.x, y: player.y };
      discs.set(player.id, disc);
    }
    const step = player.isMe ? 1 : share;
    disc.x += (player.x - disc.x) * step;
    disc.y += (player.y - disc.y) * step;
    put(disc.element, disc);
    dress(disc.element, player);
  }
  for (const [id, { element }] of discs) {
    if (players.some((player) => player.id === id)) continue;
    element.remove();
    discs.delete(id);
  }
}

/** All players, this one as it is here and now. */
function shownPlayers({ world, me, name, id: own }) {
  const players = Object.entries(world?.players ?? {}).map(([id, player]) => ({
    ...player,
    id: Number(id),
    isMe: Number(id) === own,
    isHost: Number(id) === world.host,
  }));
  const mine = players.find(({ isMe }) => isMe);
  if (mine) Object.assign(mine, me, { away: false });
  else players.push({ name, ...me, score: 0, away: false, id: own, isMe: true, isHost: false });
  return players;
}

function newDisc(id) {
  const disc = document.createElement("div");
  disc.className = `player colour-${id % COLOURS}`;
  disc.dataset.id = String(id);
  disc.append(document.createElement("b"), document.createElement("span"));
  at("field").append(disc);
  return disc;
}

/** The Content-Security-Policy forbids styles in the markup, and allows these. */
function put(element, { x, y }) {
  element.style.setProperty("--x", (x / FIELD.width).toFixed(4));
  element.style.setProperty("--y", (y / FIELD.height).toFixed(4));
}

function dress(disc, { name, isMe, away }) {
  disc.classList.toggle("me", isMe);
  disc.classList.toggle("away", away);
  const [initial, label] = disc.children;
  if (label.textContent === name) return;
  initial.textContent = [...name][0].toUpperCase();
  label.textContent = name;
}

/** Shows who is here, and how the connection is. */
export function drawPanel(match) {
  const players = shownPlayers(match).sort((a, b) => b.score - a.score || a.id - b.id);
  const { state, roundTripMs, isHostHere } = match.connection;
  at("round-trip").textContent =
    state === "open" && roundTripMs !== null ? `${Math.round(roundTripMs)} ms` : "–";
  at("state").textContent = STATES[state];
  at("state").dataset.state = state;
  showBanner(bannerOf(state, isHostHere, match.world));
  const text = JSON.stringify(players.map(({ x, y, ...rest }) => rest));
  if (text === panelText) return;
  panelText = text;
  at("count").textContent = String(players.filter(({ away }) => !away).length);
  at("players").replaceChildren(...players.map(playerRow));
}

const STATES = {
  connecting: "Connecting …",
  open: "Connected",
  reconnecting: "Reconnecting …",
  closed: "Closed",
};

function bannerOf(state, isHostHere, world) {
  if (state === "reconnecting") return "The connection is gone. Reconnecting …";
  if (state !== "open") return "";
  if (!isHostHere) return "The host is gone. Another player takes over …";
  return world ? "" : "Waiting for the host …";
}

function showBanner(text) {
  const banner = at("banner");
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = text === "";
}

function playerRow({ id, name, score, isMe, isHost, away }) {
  const row = document.createElement("li");
  row.className = `colour-${id % COLOURS}`;
  row.dataset.id = String(id);
  const part = (className, text) => {
    const element = document.createElement("span");
    element.className = className;
    element.textContent = text;
    row.append(element);
  };
  part("dot", "");
  part("player-name", name);
  if (isMe) part("badge", "you");
  if (isHost) part("badge host-badge", "host");
  if (away) part("badge", "away");
  part("score", String(score));
  row.lastElementChild?.setAttribute("aria-label", `${score} ${score === 1 ? "point" : "points"}`);
  return row;
}
