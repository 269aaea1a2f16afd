/**
 * Where a device's Ed25519 key is made and kept: in a browser in IndexedDB, from which no script can read
 * it; elsewhere in a file that its owner alone can read.
 */

import { PairingError } from "./pairing-error.js";

const DATABASE = "drawbridge-pairing";
const STORE = "keys";
const ED25519 = { name: "Ed25519" };
const PEM = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/;

/** Makes a key pair. The private half of one that is not extractable can sign, and cannot be read. */
async function makeKeyPair(extractable: boolean): Promise<CryptoKeyPair> {
  try {
    return (await crypto.subtle.generateKey(ED25519, extractable, [
      "sign",
      "verify",
    ])) as CryptoKeyPair;
  } catch (cause) {
    throw new PairingError(
      "no-ed25519",
      "This runtime has no Ed25519 keys in WebCrypto. Use a newer browser or runtime; a page has to be served over HTTPS.",
      { cause },
    );
  }
}

/** The raw 32 bytes of the public half. */
export async function publicBytes({ publicKey }: CryptoKeyPair): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array((await crypto.subtle.exportKey("raw", publicKey)) as ArrayBuffer);
}

/** The key that this page's origin keeps under this name. Makes it if there is none. */
export async function keyOfBrowser(name: string): Promise<CryptoKeyPair> {
  const database = await openDatabase();
  try {
    const keysIn = (mode: IDBTransactionMode) =>
      database.transaction(STORE, mode).objectStore(STORE);
    const known = await requested<CryptoKeyPair | undefined>(keysIn("readonly").get(name));
    if (known) return known;
    const made = await makeKeyPair(false);
    // Another tab may have been faster: then its key is the one.
    const keys = keysIn("readwrite");
    const other = await requested<CryptoKeyPair | undefined>(keys.get(name));
    if (other) return other;
    await requested(keys.add(made, name));
    return made;
  } finally {
    database.close();
  }
}

async function openDatabase(): Promise<IDBDatabase> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  return requested(opening);
}

function requested<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

/**
 * The key in this file: an Ed25519 key as PKCS #8, in PEM. Makes the file, with mode 0600, if there is none.
 * A file that others may read is refused, as ssh does.
 */
export async function keyOfFile(path: string): Promise<CryptoKeyPair> {
  const text = (await readPrivateFile(path)) ?? (await createPrivateFile(path, await newPem()));
  const encoded = PEM.exec(text)?.[1];
  try {
    if (!encoded) throw new Error("no PEM block PRIVATE KEY");
    const bytes = Uint8Array.from(atob(encoded.replace(/\s/g, "")), (char) => char.charCodeAt(0));
    const privateKey = await crypto.subtle.importKey("pkcs8", bytes, ED25519, true, ["sign"]);
    const { kty, crv, x } = await crypto.subtle.exportKey("jwk", privateKey);
    const publicJwk = { kty, crv, x } as JsonWebKey;
    const publicKey = await crypto.subtle.importKey("jwk", publicJwk, ED25519, true, ["verify"]);
    return { privateKey, publicKey };
  } catch (cause) {
    throw new PairingError(
      "unreadable-key-file",
      `${path} holds no Ed25519 key in PEM (PKCS #8). Give another file, or remove this one to get a new key, which is a new device.`,
      { cause },
    );
  }
}

async function newPem(): Promise<string> {
  const { privateKey } = await makeKeyPair(true);
  const bytes = new Uint8Array((await crypto.subtle.exportKey("pkcs8", privateKey)) as ArrayBuffer);
  const text = btoa(String.fromCharCode(...bytes));
  return `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----\n`;
}

/** Node's modules, without an import that a bundler for browsers would look for. Deno and Bun have them too. */
function node() {
  const { getBuiltinModule, platform } = globalThis.process ?? {};
  if (!getBuiltinModule) {
    throw new PairingError("no-files", "keyFile needs Node 22.3 or newer, Deno 2 or Bun.");
  }
  return { fs: getBuiltinModule("node:fs/promises"), platform };
}

/** The text of the file; undefined if there is none. */
async function readPrivateFile(path: string): Promise<string | undefined> {
  const { fs, platform } = node();
  try {
    const { mode } = await fs.stat(path);
    // Windows has no such modes: it shows 0666.
    if (platform !== "win32" && mode & 0o077) {
      throw new PairingError(
        "key-file-not-private",
        `Others may read ${path} (mode ${(mode & 0o777).toString(8)}), which holds a private key. Run chmod 600 on it.`,
      );
    }
    return await fs.readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes the file. Nobody sees half of it. The text is that of the other process, if one was faster. */
async function createPrivateFile(path: string, text: string): Promise<string> {
  const { fs } = node();
  const unfinished = `${path}.${crypto.randomUUID()}`;
  await fs.writeFile(unfinished, text, { mode: 0o600, flag: "wx", flush: true });
  try {
    await fs.link(unfinished, path);
    return text;
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    return (await readPrivateFile(path)) ?? text;
  } finally {
    await fs.rm(unfinished, { force: true });
  }
}
