/**
 * The rate limits of a Worker, counted in the memory of its isolate. On the platform they are, too. Miniflare's
 * own write a row of SQLite for each request, which would be a good part of what is measured.
 */

class MemoryLimit {
  #limit;
  #windowMs;
  #window = 0;
  #counts = new Map();

  constructor({ limit, period }) {
    this.#limit = limit;
    this.#windowMs = period * 1_000;
  }

  async limit({ key }) {
    const window = Math.floor(Date.now() / this.#windowMs);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts.clear();
    }
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return { success: count <= this.#limit };
  }
}

let made;

/** The bindings, with a limiter for each that `MEMORY_LIMITS` names. */
export function withLimits(env) {
  made ??= {
    ...env,
    ...Object.fromEntries(
      Object.entries(env.MEMORY_LIMITS).map(([name, simple]) => [name, new MemoryLimit(simple)]),
    ),
  };
  return made;
}
