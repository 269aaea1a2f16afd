/** Devices that ask to be let in, in the process of the test, as the published client does it. */
import { type PairDeviceOptions, type Pairing, pairDevice } from "drawbridge-client/pairing";
import type { TestBrowser } from "./browser";
import type { TestOrganisation } from "./console";

/** A device with the key that it keeps. */
export interface AskingDevice extends Pairing {
  keyPair: CryptoKeyPair;
}

/** A new application; gives its id. */
export async function newApplication(at: TestOrganisation, name = "Gateway"): Promise<string> {
  const { status, body } = await at.api.call("POST", "/v1/applications", { name });
  if (status !== 201) throw new Error(`no application: ${JSON.stringify(body)}`);
  return body.id;
}

/** Devices of one test. What still waits is given up by `giveUp`. */
export class AskingDevices {
  readonly #origin: string;
  readonly #given = new AbortController();

  constructor({ server }: Pick<TestBrowser, "server">) {
    this.#origin = server.origin;
  }

  /** A device asks; a new one, unless its key is given. What is left out has a plain value. */
  async ask(
    application: string,
    wish: Partial<PairDeviceOptions> & { keyPair?: CryptoKeyPair; name?: string } = {},
  ): Promise<AskingDevice> {
    const { name = "Anna's laptop", keyPair = await newKeyPair(), ...options } = wish;
    const pairing = await pairDevice({
      url: this.#origin,
      application,
      role: "operator",
      scopes: ["operator.read", "operator.write"],
      client: { id: "cli", mode: "cli", displayName: name, platform: "linux" },
      keyPair,
      signal: this.#given.signal,
      ...options,
    });
    // Most tests wait for no token: what becomes of it is theirs to ask.
    pairing.token.catch(() => null);
    pairing.scopes.catch(() => null);
    return { ...pairing, keyPair };
  }

  giveUp(): void {
    this.#given.abort();
  }
}

function newKeyPair(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "Ed25519" }, true, [
    "sign",
    "verify",
  ]) as Promise<CryptoKeyPair>;
}
