/** The page: hosting, joining, leaving, and the loop that draws. Nothing is built: browsers load these files. */
import { connectRelay, hostRelay, joinRelay } from "/client/relay.js";
import { key, url } from "./config.js";
import { listen } from "./controls.js";
import { Match } from "./match.js";
import { drawField, drawPanel, say, showBusy, showGame, showLobby, showProblem } from "./screen.js";
import { whyEnded, whyNotBack, whyNotHosted, whyNotJoined } from "./words.js";
import { cleanName } from "./world.js";

const NAMES = [
  "Ada",
  "Bo",
  "Cleo",
  "Dara",
  "Emil",
  "Fay",
  "Gus",
  "Hana",
  "Ida",
  "Juno",
  "Kai",
  "Lou",
];
/** What this tab keeps of its game while its page is loaded anew. */
const KEPT = "game";

const nameInput = input("name");
const codeInput = input("code");

/** The game that is played; null: the entry is shown. @type {Match | null} */
let match = null;

nameInput.value = localStorage.getItem("name") ?? NAMES[Math.floor(Math.random() * NAMES.length)];
codeInput.value = new URLSearchParams(location.search).get("code") ?? "";

click("host", () => {
  if (!key) {
    showProblem("This page has no key to host with. Put a publishable key into config.js.");
    return;
  }
  enter(() => hostRelay({ url, key, codec: "json" }), whyNotHosted);
});
document.getElementById("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const code = codeInput.value.trim();
  if (code === "") {
    showProblem("Type the code that the host shows.");
    codeInput.focus();
    return;
  }
  enter(() => joinRelay({ url, code, codec: "json" }), whyNotJoined);
});
click("leave", () => match?.leave());
click("copy-code", () => copy(match?.code, "The code is copied."));
click("copy-link", () => copy(location.href, "The link is copied."));

listen(document.getElementById("field"), () => match !== null);
addEventListener("pagehide", keep);
let drawnAt = performance.now();
requestAnimationFrame(draw);
setInterval(() => match && drawPanel(match), 250);
comeBack();

function input(id) {
  return /** @type {HTMLInputElement} */ (document.getElementById(id));
}

function click(id, listener) {
  document.getElementById(id).addEventListener("click", listener);
}

/** Connects, and starts to play. */
async function enter(connect, why) {
  const name = cleanName(nameInput.value);
  localStorage.setItem("name", name);
  showProblem("");
  showBusy(true);
  try {
    const connection = await connect();
    start(connection, { name, code: connection.joinCode });
  } catch (error) {
    showProblem(why(error));
  } finally {
    showBusy(false);
  }
}

function start(connection, player) {
  match = new Match(connection, { ...player, say });
  connection.addEventListener("closed", ({ code }) => {
    match = null;
    sessionStorage.removeItem(KEPT);
    showLobby(code === 1000 ? "" : whyEnded(code));
  });
  codeInput.value = player.code;
  history.replaceState(null, "", `?code=${encodeURIComponent(player.code)}`);
  showGame(player.code);
  drawPanel(match);
}

/** A code as the host shows it. */
function spelt(code) {
  const letters = code.toUpperCase().replace(/[^A-Z0-9]/g, "");
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

function keep() {
  if (!match) return;
  const { connection, name, code, me, world } = match;
  const { credentials } = connection;
  sessionStorage.setItem(KEPT, JSON.stringify({ credentials, player: { name, code, me, world } }));
}

/** Goes on with the game that this tab was in when its page was loaded anew. */
async function comeBack() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (!kept || spelt(codeInput.value) !== kept.player.code) return;
  showBusy(true);
  try {
    start(await connectRelay({ ...kept.credentials, codec: "json" }), kept.player);
  } catch (error) {
    showProblem(whyNotBack(error));
  } finally {
    showBusy(false);
  }
}

function draw(now) {
  const seconds = Math.min((now - drawnAt) / 1_000, 0.1);
  drawnAt = now;
  if (match) {
    match.move(seconds);
    drawField(match, seconds);
  }
  requestAnimationFrame(draw);
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say("The browser does not let this page copy. Select the code, and copy it yourself.");
  }
}
