/**
 * How a websocket is refused with the subprotocol `drawbridge.v1`: it is opened and closed at once, with a
 * code and a reason. A browser shows its page neither the status nor the body of an HTTP answer. The
 * operations of participants use it.
 */
import type { HttpRefusal } from "../../http/request-context";
import { closeSocket } from "../../relay/participant";
import { CLOSE, SUBPROTOCOL } from "../../relay/protocol";

/** A websocket that is closed already, and says why. */
export function refusedSocket(refusal: HttpRefusal): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  closeSocket(server, closeCodeOf(refusal.status), closeReasonOf(refusal));
  const headers = { "Sec-WebSocket-Protocol": SUBPROTOCOL };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** The close code for the status with which the same request is refused without the subprotocol. */
function closeCodeOf(status: HttpRefusal["status"]): number {
  switch (status) {
    case 403:
      return CLOSE.wrongCredential;
    case 404:
      return CLOSE.notFound;
    case 410:
      return CLOSE.ended;
    case 429:
      return CLOSE.overLimit;
    default:
      return CLOSE.tryAgain;
  }
}

/** The first sentence of the message, and when to come back: there is room for 123 bytes. */
function closeReasonOf({ message, headers }: HttpRefusal): string {
  const [sentence = ""] = /^.*?[.](?= |$)/.exec(message) ?? [];
  const seconds = headers?.["Retry-After"];
  return seconds === undefined ? sentence : `${sentence} Try again in ${seconds} s.`;
}
