/** How the Worker reaches a relay node's object: to hand over its link, and for its owner. */
import { UnavailableError } from "../platform/unavailable";
import type { NodeLoad } from "./link-protocol";
import type { LinkAttachment } from "./link-socket";
import type { NodeSettings } from "./node";

/** What the Worker tells a node's object of a link. */
export interface LinkRequest
  extends Pick<LinkAttachment, "tokenDigest" | "latitude" | "longitude"> {
  /**
   * The node of this token. Null: D1 did not say whose the token is, and the node did: it has to be known at
   * its object.
   */
  settings: NodeSettings | null;
}

/**
 * Why a node's object does not take a link, as JSON, with status 200: the token does not work, or D1 has to
 * say whether it does, and cannot be read.
 */
export interface LinkRefusal {
  code: "unknown-token" | "token-not-read";
}

/** What an owner does with a node. */
export interface NodeAdministration {
  /** How loaded it is. Null: it is not linked, or did not say so within 500 ms. */
  load(): Promise<NodeLoad | null>;
  /** Lets it take no new sessions, or lets it take them again. */
  drain(drained: boolean): Promise<void>;
  /**
   * D1 may get other tokens for it within a minute. Its object reads them then, whether or not
   * `tokensChanged` comes.
   */
  tokensWillChange(): Promise<void>;
  /** D1 has other tokens for it: links and trunks that came with an older one are closed when that ends. */
  tokensChanged(): Promise<void>;
  /** The node was deleted: what runs on it fails, and its object forgets everything. */
  remove(): Promise<void>;
  /** Takes its link: a websocket, with a `LinkRequest` in the header `Drawbridge-Node`. A refusal is JSON (`LinkRefusal`). */
  fetch(request: Request): Promise<Response>;
}

/** Calls nodes by their id. Each call throws `UnavailableError` when the node's object cannot be reached. */
export class RelayNodeClient {
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  load(id: string): Promise<NodeLoad | null> {
    return this.#call(id, (node) => node.load());
  }

  drain(id: string, drained: boolean): Promise<void> {
    return this.#call(id, (node) => node.drain(drained));
  }

  tokensWillChange(id: string): Promise<void> {
    return this.#call(id, (node) => node.tokensWillChange());
  }

  tokensChanged(id: string): Promise<void> {
    return this.#call(id, (node) => node.tokensChanged());
  }

  remove(id: string): Promise<void> {
    return this.#call(id, (node) => node.remove());
  }

  /** Hands over a websocket upgrade. The answer is 101, or a `LinkRefusal`. */
  link(id: string, asked: LinkRequest): Promise<Response> {
    // A request of our own: of what the node sent, nothing but the upgrade goes on.
    const headers = { Upgrade: "websocket", "Drawbridge-Node": JSON.stringify(asked) };
    return this.#call(id, (node) => node.fetch(new Request("https://relay-node/", { headers })));
  }

  /** All these calls may run twice, but for `link`, of which a second one takes the place of the first. */
  async #call<T>(id: string, call: (node: NodeAdministration) => Promise<T>): Promise<T> {
    const node = () => this.#env.RELAY_NODES.getByName(id) as unknown as NodeAdministration;
    try {
      return await call(node());
    } catch {
      return await call(node()).catch((error) => {
        throw new UnavailableError(`relay node's object unreachable: ${String(error)}`, 2);
      });
    }
  }
}
