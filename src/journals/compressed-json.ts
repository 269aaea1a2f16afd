/**
 * JSON as a journal stores it: compressed against a dictionary of what events and deliveries are made of,
 * which makes a session's state about a third of its length. Pure.
 *
 * The first byte says how the rest is read. A dictionary must never change, or what was stored with it cannot
 * be read any more: add another one with a number of its own, and write with that.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";

const PLAIN = 0;
const DICTIONARY_1 = 1;

/** What occurs most often stands last: deflate writes shorter references to what is near. */
const dictionary1 = Buffer.from(
  [
    '{"endpoint":{"organisationId":1,"id":"whe_01","url":"https://","format":"ricloud","enabled":true,"valid":null,"secretVersion":1,"previousSecrets":[],"description":"","eventTypes":null,"disabledReason":null,"failingSince":null,"version":1,"origin":"https://","createdAt":17',
    '{"device":{"organisationId":1,"applicationId":"pa-","id":"","version":1,"status":"active","pairRequest":{"id":"pr-","publicKey":"","displayName":"","platform":"","scopes":["operator"],"roles":[],"closesSocketsBefore":',
    '{"permission":{"connectionId":"","type":"send","enabled":true,"memo":""}}{"connection":{"connectionId":"","type":"sender"}}{"connector":{"type":""',
    '{"key":{"id":1,"version":1,"name":"","permissions":["relays:write","relays:read"],"emails":[],"labels":[],"ipAllowlist":[],"dnsName":null,"blocked":false,"createdAt":17,"updatedAt":null,"expiresAt":null}}',
    '"no connection, or it broke off: "no answer within 15 s"the webhook endpoint was deleted"the webhook endpoint is disabled"okOK{"ok":true}',
    '"error":"relay-node-lost"verification-timeout"status":"failed"reason":"organisation"status":"pending"',
    '{"session":{"id":"-S","kind":"source","organisationId":1,"keyId":1,"createdAt":17,"idleSeconds":3600,"maxUsers":0,"origin":"https://","webhookUrl":null,"metadata":null,"region":null,"joinCodeDraw":null,"source":{"userId":1,"sourceId":1,"type":"icloud.account","identifier":"","sourceState":"","sourceCreatedAt":17,"verifyBy":17,"lifetimeEndsAt":17,"checkSeconds":null}',
    ',"hostMigration":"oldest","hostGraceSeconds":10,"rejoinSeconds":60,"joinedWith":"","joinedAt":17,"connectionId":"","deviceId":"","host":1,"hostSince":17,"newJoinCodeDraw":',
    '{"session":{"id":"-S","kind":"relay","organisationId":1,"keyId":1,"createdAt":17,"idleSeconds":300,"maxUsers":64,"origin":"https://","webhookUrl":"https://","metadata":{"":""},"region":null,"joinCodeDraw":null,"version":1,"expiresAt":17,"users":[{"ip":"192.","connectionId":null,"deviceId":null,"n":0,"draw":1},{"ip":"192.","connectionId":null,"deviceId":null,"n":1,"draw":1}],"nextUser":2,"status":"active"},"status":"expired","endedAt":17,"reason":"api"}}',
  ].join(""),
);

/** Fewer bytes are not compressed: that would save some tens of them, and take longer than all else. */
const LEAST_COMPRESSED = 128;

/** A value as it is stored. */
export function pack(value: unknown): ArrayBuffer {
  const plain = Buffer.from(JSON.stringify(value));
  if (plain.length < LEAST_COMPRESSED) return prefixed(PLAIN, plain);
  const small = deflateRawSync(plain, { dictionary: dictionary1, level: 9 });
  return small.length < plain.length ? prefixed(DICTIONARY_1, small) : prefixed(PLAIN, plain);
}

/**
 * The value that was stored.
 * @throws Error when it was stored by a newer version of this code, or is damaged
 */
export function unpack(stored: ArrayBuffer): unknown {
  const bytes = new Uint8Array(stored);
  const rest = bytes.subarray(1);
  switch (bytes[0]) {
    case PLAIN:
      return JSON.parse(Buffer.from(rest).toString());
    case DICTIONARY_1:
      return JSON.parse(inflateRawSync(rest, { dictionary: dictionary1 }).toString());
    default:
      throw new Error(`a stored value of an unknown form: ${bytes[0]}`);
  }
}

function prefixed(form: number, rest: Uint8Array): ArrayBuffer {
  const bytes = new Uint8Array(rest.length + 1);
  bytes[0] = form;
  bytes.set(rest, 1);
  return bytes.buffer;
}
