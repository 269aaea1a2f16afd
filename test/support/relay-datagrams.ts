/** What a native game sends to a relay node, and what it gets. Little-endian. */

/** A ping. */
export function ping(userToken: number, sessionToken: number): Buffer {
  return Buffer.concat([tokens(userToken, sessionToken), Buffer.of(1)]);
}

/** A client's data. */
export function clientData(
  userToken: number,
  sessionToken: number,
  payload: string | Buffer,
): Buffer {
  return Buffer.concat([tokens(userToken, sessionToken), Buffer.of(2), Buffer.from(payload)]);
}

/** A host's data for the client with this connection id. */
export function hostData(
  userToken: number,
  sessionToken: number,
  { to, payload }: { to: number; payload: string | Buffer },
): Buffer {
  return Buffer.concat([
    tokens(userToken, sessionToken),
    Buffer.of(2),
    int32(to),
    Buffer.from(payload),
  ]);
}

/** The answer to a ping. */
export function pong(state: number): Buffer {
  return Buffer.of(1, state);
}

/** What a client gets. */
export function toClient(payload: string | Buffer): Buffer {
  return Buffer.concat([Buffer.of(2), Buffer.from(payload)]);
}

/** What a host gets from the client with this connection id. */
export function toHost(from: number, payload: string | Buffer): Buffer {
  return Buffer.concat([Buffer.of(2), int32(from), Buffer.from(payload)]);
}

function tokens(user: number, session: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(user, 0);
  bytes.writeUInt32LE(session, 4);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
