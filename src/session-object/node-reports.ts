/** What the object of a relay node calls of a session that the node carries. The session's object hands it on. */
import { type NodePermissions, type NodeToken, RELAY_NODE_LOST } from "../session/relay-node";
import { isFinal } from "../session/session";
import type { Announcer } from "./announcer";
import type { SessionCommands } from "./commands";
import type { LoadedSession } from "./loaded-session";

/** The object that is called, with the parts of it that this needs. */
interface ReportContext {
  commands: SessionCommands;
  announcer: Announcer;
  /** The session of the object; null: there is none, or none any more. */
  current(): LoadedSession | null;
}

/** `SessionCalls` says what each call does. */
export class NodeReportCalls {
  readonly #object: ReportContext;

  constructor(object: ReportContext) {
    this.#object = object;
  }

  async nodeLost(nodeId: string): Promise<void> {
    const { commands, announcer } = this.#object;
    const loaded = this.#onNode(nodeId);
    if (!loaded) return;
    const command = { type: "fail", error: RELAY_NODE_LOST } as const;
    if (commands.run(loaded, command, Date.now()).ok) await announcer.announce();
  }

  async silentOnNode(nodeId: string): Promise<boolean> {
    const { commands, announcer } = this.#object;
    const loaded = this.#onNode(nodeId);
    if (!loaded || isFinal(loaded.session)) return false;
    const now = Date.now();
    if (loaded.hub.size > 0 || (loaded.idleAt !== null && now < loaded.idleAt)) return true;
    const command = { type: "expire", reason: "api" } as const;
    if (commands.run(loaded, command, now).ok) await announcer.announce();
    return false;
  }

  async permissionsForNode(nodeId: string): Promise<NodePermissions | null> {
    const loaded = this.#onNode(nodeId);
    if (!loaded || isFinal(loaded.session)) return null;
    return (await loaded.permissions.refresh()) ? loaded.permissions.snapshot(Date.now()) : null;
  }

  nodeTokensChanged(nodeId: string, tokens: readonly NodeToken[]): void {
    this.#onNode(nodeId)?.hub.node.tokensChanged(tokens, Date.now());
  }

  /** The session, if this relay node carries it. */
  #onNode(nodeId: string): LoadedSession | null {
    const loaded = this.#object.current();
    return loaded?.session.node?.id === nodeId ? loaded : null;
  }
}
