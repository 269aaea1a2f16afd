/** `drawbridge-client/pairing`: a device asks to be let in, and gets its token. See docs/client-pairing.md. */

import { call, pause } from "./pairing-calls.js";
import { PairingError } from "./pairing-error.js";
import { keyOfBrowser, keyOfFile, publicBytes } from "./pairing-keys.js";
import {
  base64Url,
  deviceIdOf,
  fingerprintOf,
  type PairingClient,
  signedString,
} from "./pairing-protocol.js";
import { serviceUrl } from "./service-url.js";

export { type PairingClient, PairingError };

/** What a device asks for. */
export interface PairDeviceOptions {
  /** The address of the service, such as `https://relay.example.com`. */
  url: string;
  /** The id of the application to pair with: `pa-…`. */
  application: string;
  /** The role that the device asks for, such as `operator`. */
  role: string;
  /** Further roles, if it asks for several. */
  roles?: readonly string[];
  /** The scopes that it asks for, such as `operator.read`. */
  scopes: readonly string[];
  client: PairingClient;
  /** Lets the device in without a decision: `docs/pairing.md`, setup codes. */
  setupCode?: string;
  /** True: no operator is notified. */
  silent?: boolean;
  /** Node, Deno, Bun: the file of the device's key. It is made if there is none. */
  keyFile?: string;
  /** Browsers: the name under which this origin keeps the key; `device` by default. */
  keyName?: string;
  /** A key of your own (Ed25519), which you keep. Then neither file nor database is used. */
  keyPair?: CryptoKeyPair;
  /** Ends the asking and polling. The promises reject with its reason. */
  signal?: AbortSignal;
}

/** A request that was made. */
export interface Pairing {
  /** 64 hexadecimal digits, made of the public key. */
  deviceId: string;
  /** 8 characters to show to the person at the device. The operator sees the same ones. */
  fingerprint: string;
  /** True: an operator has to decide. False: the token is here already. */
  pending: boolean;
  /**
   * The device token, `drbd_…`, as soon as somebody has let the device in. Keep it: it is given once. Rejects
   * with a `PairingError` (`rejected`, `expired`, `superseded`, …).
   */
  token: Promise<string>;
  /** What the token carries, which may be less than was asked for. Keep it: ask for this the next time. */
  scopes: Promise<string[]>;
}

interface Granted {
  token: string;
  scopes: string[];
}

/** An answer of the service. What is in it depends on its `status`. */
interface Answer {
  status?: string;
  device_token?: string;
  scopes?: string[];
  pair_request_id?: string;
  poll_token?: string;
  interval?: number;
}

/** How long a call that makes the request is tried again while the service cannot be reached. */
const PATIENCE_MS = 30_000;
/** And a poll: as long as the request lives. */
const POLL_PATIENCE_MS = 300_000;
/** How often the answer with the token may get lost before the asking ends. */
const MOST_LOST_TOKENS = 3;

/**
 * Asks to be let in with this device's key, which is made at the first call and kept. Resolves when the
 * service has the request; its `token` resolves when somebody has decided. Each call that is let in gives a
 * new token, and the one before it stops working.
 *
 * Rejects with a `PairingError` if the request could not be made, and with a `TypeError` at once if `url` is no
 * URL of http or https.
 */
export async function pairDevice(options: PairDeviceOptions): Promise<Pairing> {
  serviceUrl(options.url);
  const keys = options.keyPair ?? (await keptKey(options));
  const publicKey = await publicBytes(keys);
  const deviceId = await deviceIdOf(publicKey);
  const device: Device = { keys, id: deviceId, publicKey: base64Url(publicKey) };
  const first = await request(options, device);
  const granted = awaitDecision(options, device, first);
  const token = granted.then((each) => each.token);
  const scopes = granted.then((each) => each.scopes);
  // Whoever looks at one of them late, or not at all, has no unhandled rejection.
  for (const promise of [token, scopes]) promise.catch(() => {});
  return {
    deviceId,
    fingerprint: fingerprintOf(deviceId),
    pending: first.status === "pending",
    token,
    scopes,
  };
}

interface Device {
  keys: CryptoKeyPair;
  id: string;
  /** Base64url. */
  publicKey: string;
}

function keptKey({ keyFile, keyName = "device" }: PairDeviceOptions): Promise<CryptoKeyPair> {
  if (keyFile !== undefined) return keyOfFile(keyFile);
  if (globalThis.indexedDB) return keyOfBrowser(keyName);
  throw new PairingError(
    "no-key-store",
    "There is no IndexedDB here to keep the device's key in. Give keyFile, the path of a file for it, or keyPair.",
  );
}

const pairingUrl = ({ url, application }: PairDeviceOptions, path: string) =>
  new URL(`/v1/applications/${encodeURIComponent(application)}/pairing/${path}`, url).href;

/** Makes the signed request, with a fresh challenge for each try. */
async function request(options: PairDeviceOptions, device: Device): Promise<Answer> {
  return call({
    method: "POST",
    url: pairingUrl(options, "requests"),
    patienceMs: PATIENCE_MS,
    signal: options.signal,
    body: () => signedBody(options, device),
  });
}

async function signedBody(options: PairDeviceOptions, { keys, id, publicKey }: Device) {
  const { client, role, roles, scopes, silent, setupCode } = options;
  const { nonce, server_time } = (await call({
    method: "POST",
    url: pairingUrl(options, "challenges"),
    patienceMs: PATIENCE_MS,
    signal: options.signal,
  })) as { nonce: string; server_time: string };
  // By the server's clock: a device's own may be wrong.
  const signedAt = Date.parse(server_time);
  const fields = { deviceId: id, client, role, scopes, signedAt, nonce };
  const text = new TextEncoder().encode(signedString({ ...fields, setupCode: setupCode ?? "" }));
  const signature = await crypto.subtle.sign({ name: "Ed25519" }, keys.privateKey, text);
  return {
    device: {
      id,
      public_key: publicKey,
      signed_at: signedAt,
      nonce,
      signature: base64Url(new Uint8Array(signature)),
    },
    client: {
      id: client.id,
      mode: client.mode,
      display_name: client.displayName,
      platform: client.platform,
      device_family: client.deviceFamily,
    },
    role,
    roles,
    scopes,
    silent,
    setup_code: setupCode,
  };
}

/** Polls until somebody has decided. */
async function awaitDecision(
  options: PairDeviceOptions,
  device: Device,
  first: Answer,
): Promise<Granted> {
  let answer = first;
  let asked = first;
  for (let lost = 0; ; ) {
    const { status, device_token: token, scopes = [] } = answer;
    if (status === "approved" && token) return { token, scopes };
    if (status === "approved" && lost < MOST_LOST_TOKENS) {
      // The answer that had the token was lost on its way: a new request is answered with another one.
      lost += 1;
      asked = await request(options, device);
      answer = asked;
      continue;
    }
    if (status !== "pending") throw ended(status);
    await pause((asked.interval ?? 5) * 1_000, options.signal);
    answer = await poll(options, asked);
  }
}

function poll(
  options: PairDeviceOptions,
  { pair_request_id, poll_token }: Answer,
): Promise<Answer> {
  return call({
    method: "GET",
    url: pairingUrl(options, `requests/${pair_request_id}`),
    token: poll_token,
    patienceMs: POLL_PATIENCE_MS,
    signal: options.signal,
  });
}

const ENDINGS: Record<string, string> = {
  rejected: "The operator did not let this device in.",
  expired: "Nobody has decided in time. Ask again.",
  superseded: "This device has asked for something else since then.",
};

function ended(status = "unexpected-answer"): PairingError {
  return new PairingError(status, ENDINGS[status] ?? `The service answered ${status}.`);
}
