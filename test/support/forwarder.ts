/** A forwarder without sockets, for tests: it hands over what it would send, and its clock is the test's. */

import type { ProcessOfNode } from "../../relay-node/carrier";
import type { Role } from "../../relay-node/datagram";
import { Forwarder } from "../../relay-node/forwarder";
import type { AssignedSession } from "../../src/relay-nodes/link-protocol";

export const LIMITS = {
  bytesPerSecond: 1_000_000,
  burstBytes: 1_000_000,
  messagesPerSecond: 10_000,
  burstMessages: 10_000,
};

/** A session with these users' tokens: the first is the host's. */
export function assignment(
  id: string,
  token: number,
  userTokens: readonly number[],
  more: Partial<AssignedSession> = {},
): AssignedSession {
  return {
    id,
    token,
    idle_seconds: 300,
    expires_at: 4_000_000_000_000,
    users: userTokens.map((token, n) => ({ n, token, gated: false })),
    permissions: null,
    trunk: false,
    ...more,
  };
}

/** What was sent: from which port, the bytes, and to which UDP port of 192.0.2.1. */
export interface Sent {
  role: Role;
  bytes: Buffer;
  port: number;
}

export interface TestForwarder {
  forwarder: Forwarder;
  /** The sessions that were reported as silent, and those whose permissions were asked for. */
  silent: string[];
  asked: string[];
  /** Set it to false, and the socket takes nothing. */
  takes: boolean;
  /** Receives a datagram from this UDP port of 192.0.2.1 (or of another address); gives what was sent for it. */
  receive(role: Role, bytes: Buffer, port: number, now?: number, address?: string): Sent[];
}

/** A forwarder that Drawbridge has welcomed, and told all sessions. */
export function testForwarder(limits = LIMITS, process?: ProcessOfNode): TestForwarder {
  let sent: Sent[] = [];
  const silent: string[] = [];
  const asked: string[] = [];
  const forwarder = new Forwarder(
    {
      send: (role, bytes, start, to) => {
        const { port } = to;
        if (test.takes) sent.push({ role, bytes: Buffer.from(bytes.subarray(start)), port });
        return test.takes;
      },
      presenceChanged: () => {},
      silent: ({ id }) => silent.push(id),
      askPermissions: ({ id }) => asked.push(id),
    },
    process,
  );
  forwarder.limits.set(limits);
  forwarder.newLink(Number.POSITIVE_INFINITY);
  forwarder.knowsAllSessions = true;
  const test: TestForwarder = {
    forwarder,
    silent,
    asked,
    takes: true,
    receive: (role, bytes, port, now = 1, address = "192.0.2.1") => {
      sent = [];
      forwarder.receive(role, Buffer.from(bytes), { address, port }, now);
      return sent;
    },
  };
  return test;
}
