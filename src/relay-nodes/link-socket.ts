/** The websocket of a link, and what is kept with it while the node's object hibernates. */
import { closeSocket } from "../relay/participant";
import { LINK_CLOSE, type ToNode } from "./link-protocol";
import type { NodeSettings } from "./node";

/** What is kept with the websocket of a link. */
export interface LinkAttachment {
  settings: NodeSettings;
  /** The digest of the token that it came with. */
  tokenDigest: string;
  /** Until when this token works, Unix milliseconds; null: it has no end. */
  tokenUntil: number | null;
  latitude: number | null;
  longitude: number | null;
  /** When it connected, and then when it said hello, Unix milliseconds. */
  since: number;
  /** Whether it has said hello. Only then it is the node's link. */
  greeted: boolean;
  /** Whether we have closed it. */
  closed: boolean;
}

/** What was kept with a websocket of a node's object. */
export function readLink(ws: WebSocket): LinkAttachment | null {
  return ws.deserializeAttachment();
}

/** Whether it is open, and we have not closed it. */
export function isOpen(ws: WebSocket): boolean {
  return ws.readyState === WebSocket.OPEN && readLink(ws)?.closed === false;
}

/** Sends a message; a websocket that has just closed takes none. */
export function sendToNode(ws: WebSocket, message: ToNode): void {
  try {
    ws.send(JSON.stringify(message));
  } catch {
    // Its close event does the rest.
  }
}

/** Closes a link, after telling the node why. */
export function refuseLink(
  ws: WebSocket,
  close: keyof typeof LINK_CLOSE,
  { code, message }: { code: string; message: string },
): void {
  sendToNode(ws, { type: "refused", code, message });
  markClosed(ws);
  closeSocket(ws, LINK_CLOSE[close], code);
}

/** Marks with the websocket that we close it. */
export function markClosed(ws: WebSocket): void {
  const link = readLink(ws);
  if (link) ws.serializeAttachment({ ...link, closed: true } satisfies LinkAttachment);
}
