/**
 * The bench's client: requests over connections that stay open, with little work of its own, so that the client
 * is not what is measured. (`fetch` of Node takes about as long as the Worker.)
 */
import { Agent, request } from "node:http";

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** As the platform tells the Worker who calls. */
const CALLER = { "CF-Connecting-IP": "198.51.100.77" };

/**
 * Sends a request, and waits for its whole answer.
 * @returns the parsed body; null: it has none
 * @throws Error when the answer is not 2xx
 */
export function send({ method = "GET", url, headers = {}, body }) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, agent, headers: { ...CALLER, ...headers } }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode < 300) resolve(text === "" ? null : JSON.parse(text));
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Runs a piece of work so many times, some of them side by side. `work` gets the number of each, from `first` on. */
export async function sideBySide(count, atOnce, work, first = 0) {
  let next = first;
  await Promise.all(
    Array.from({ length: Math.min(atOnce, count) }, async () => {
      while (next < first + count) await work(next++);
    }),
  );
}

/** Waits until this is true. */
export async function until(isTrue, everyMs = 50, limitMs = 120_000) {
  const end = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs / 1_000} s in vain: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
