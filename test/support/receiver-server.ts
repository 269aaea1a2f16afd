/**
 * A vitest `globalSetup`: one HTTP server on loopback that plays every receiver of webhooks. It
 * runs in Node, beside the tests, which reach it through `receiver.ts`.
 *
 * `/hooks/<mailbox>[/…]` records a request and answers as told; `PUT /control/<mailbox>` tells it
 * how; `POST /control/<mailbox>` answers what is held; `GET /control/<mailbox>[?count=&timeoutMs=]`
 * reads what was recorded, once there is enough.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import type { Behaviour, ReceivedRequest } from "./receiver";

declare module "vitest" {
  export interface ProvidedContext {
    receiverUrl: string;
  }
}

/** Bounds of its memory, which a run of the tests stays far below. */
const MAX_MAILBOXES = 5_000;
const MAX_REQUESTS = 2_000;
const MAX_BODY_BYTES = 1_048_576;

/** Longer than any delivery's time-out, and keeps a forgotten socket from staying open for ever. */
const HANG_MS = 60_000;

/** Long enough for the beginning of an answer to be read. */
const CUT_MS = 100;

type Box = {
  behaviours: Behaviour[];
  requests: ReceivedRequest[];
  waiters: Set<() => void>;
  /** The answers that are held. */
  held: Set<() => void>;
};

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, close } = await startReceiver();
  project.provide("receiverUrl", url);
  return close;
}

/** A receiver of its own, for tests that run in Node themselves. `createMailbox` takes its `url`. */
export async function startReceiver(): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createReceiver();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

function createReceiver(): Server {
  const boxes = new Map<string, Box>();
  return createServer((request, response) => {
    handle(boxes, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });
}

async function handle(boxes: Map<string, Box>, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? "/", "http://receiver");
  const [, area, name] = url.pathname.split("/");
  if (!name || (area !== "hooks" && area !== "control")) return void response.writeHead(404).end();
  const box = open(boxes, name);
  const body = await readBody(request);
  if (body === undefined) return void response.writeHead(413).end();

  if (area === "hooks") {
    record(box, request, body);
    return respond(box, takeBehaviour(box), response);
  }
  if (request.method === "PUT") {
    box.behaviours = JSON.parse(body);
    return void response.writeHead(204).end();
  }
  if (request.method === "POST") {
    for (const answer of box.held) answer();
    return void response.writeHead(204).end();
  }
  const count = Number(url.searchParams.get("count") ?? 0);
  await waitForCount(box, count, Number(url.searchParams.get("timeoutMs") ?? 0), response);
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(box.requests));
}

/** Makes the mailbox if it does not exist; the oldest one is removed if there are too many. */
function open(boxes: Map<string, Box>, name: string): Box {
  let box = boxes.get(name);
  if (!box) {
    box = { behaviours: [], requests: [], waiters: new Set(), held: new Set() };
    boxes.set(name, box);
    const [oldest] = boxes.keys();
    if (boxes.size > MAX_MAILBOXES && oldest !== undefined) boxes.delete(oldest);
  }
  return box;
}

/** The whole body as text, or undefined when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function record(box: Box, request: IncomingMessage, body: string) {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name] = String(value);
  box.requests.push({
    at: Date.now(),
    method: request.method ?? "",
    path: request.url ?? "",
    headers,
    body,
  });
  if (box.requests.length > MAX_REQUESTS) box.requests.shift();
  for (const wake of box.waiters) wake();
}

function takeBehaviour(box: Box): Behaviour {
  const [next] = box.behaviours;
  if (box.behaviours.length > 1) box.behaviours.shift();
  return next ?? { kind: "status", status: 204 };
}

function respond(box: Box, behaviour: Behaviour, response: ServerResponse) {
  switch (behaviour.kind) {
    case "status": {
      const { status, headers, body, delayMs = 0, held = false } = behaviour;
      const answer = () => void response.writeHead(status, headers).end(body);
      if (held) holdBack(box, response, answer);
      else later(delayMs, response, answer);
      return;
    }
    case "hang":
      later(HANG_MS, response, () => response.socket?.destroy());
      return;
    case "reset":
      response.socket?.destroy();
      return;
    case "cut":
      response.writeHead(200, { "content-length": behaviour.body.length + 100 });
      response.write(behaviour.body, () =>
        later(CUT_MS, response, () => response.socket?.destroy()),
      );
      return;
    case "redirect":
      response.writeHead(302, { location: behaviour.to }).end();
      return;
  }
}

/** Keeps the answer until it is asked for, unless the connection is closed by then. */
function holdBack(box: Box, response: ServerResponse, answer: () => void) {
  const once = () => {
    box.held.delete(once);
    answer();
  };
  box.held.add(once);
  response.once("close", () => box.held.delete(once));
}

/** Does it after so many milliseconds, unless the connection is closed by then. */
function later(delayMs: number, response: ServerResponse, act: () => void) {
  const timer = setTimeout(act, Math.min(delayMs, HANG_MS));
  response.once("close", () => clearTimeout(timer));
}

/** Resolves when so many requests are there, the time is up, or the caller has gone. */
async function waitForCount(box: Box, count: number, timeoutMs: number, response: ServerResponse) {
  if (box.requests.length >= count) return;
  await new Promise<void>((resolve) => {
    const check = () => box.requests.length >= count && resolve();
    box.waiters.add(check);
    later(timeoutMs, response, resolve);
    response.once("close", () => {
      box.waiters.delete(check);
      resolve();
    });
  });
}
