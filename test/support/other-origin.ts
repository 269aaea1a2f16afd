/** A page of another origin, for tests of what a browser lets it do. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface OtherOrigin {
  /** The address of the page. */
  readonly url: string;
  close(): void;
}

/**
 * Serves an empty page at the Worker's host with another port: that is another origin, and the only host
 * that the browser of a test knows.
 * @param origin of the Worker
 */
export async function startOtherOrigin(origin: string): Promise<OtherOrigin> {
  const pages = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/html" }).end("<title>A game</title>");
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  const url = new URL(origin);
  url.port = String((pages.address() as AddressInfo).port);
  return { url: url.href, close: () => pages.close() };
}
