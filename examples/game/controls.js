/** Where the player wants to go: arrow keys or WASD, or a finger (or the mouse) held on the field. */
import { FIELD, RADIUS } from "./world.js";

const KEYS = {
  ArrowLeft: [-1, 0],
  KeyA: [-1, 0],
  ArrowRight: [1, 0],
  KeyD: [1, 0],
  ArrowUp: [0, -1],
  KeyW: [0, -1],
  ArrowDown: [0, 1],
  KeyS: [0, 1],
};

const held = new Set();
/** Where the finger is, on the field. */
let target = null;

/**
 * Listens to keys and fingers.
 * @param {HTMLElement} field
 * @param {() => boolean} isPlaying keys are the page's own while nobody plays
 */
export function listen(field, isPlaying) {
  // A screen reader hands on the arrow keys only where the focus is.
  field.tabIndex = 0;
  addEventListener("keydown", (event) => {
    if (!isPlaying() || !(event.code in KEYS) || event.ctrlKey || event.metaKey || event.altKey)
      return;
    if (event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    held.add(event.code);
  });
  addEventListener("keyup", (event) => held.delete(event.code));
  addEventListener("blur", release);

  const point = ({ clientX, clientY }) => {
    const { left, top, width, height } = field.getBoundingClientRect();
    target = {
      x: ((clientX - left) / width) * FIELD.width,
      y: ((clientY - top) / height) * FIELD.height,
    };
  };
  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    point(event);
  });
  field.addEventListener("pointermove", (event) => target && point(event));
  for (const type of ["pointerup", "pointercancel"]) field.addEventListener(type, release);
}

function release() {
  held.clear();
  target = null;
}

/**
 * The direction to go: a vector of length 1, or of length 0 to stay.
 * @param {import("./world.js").Place} from where the player is
 */
export function direction(from) {
  let x = 0;
  let y = 0;
  for (const code of held) {
    x += KEYS[code][0];
    y += KEYS[code][1];
  }
  if (x === 0 && y === 0 && target) {
    x = target.x - from.x;
    y = target.y - from.y;
    if (Math.hypot(x, y) < RADIUS / 4) return { x: 0, y: 0 };
  }
  const length = Math.hypot(x, y) || 1;
  return { x: x / length, y: y / length };
}
