/**
 * Where the users of a relay session connect: its websockets, the ports of its relay node, and what a user
 * who has just joined is told. The format is Edgegap's, with Drawbridge's additions.
 */
import * as z from "zod";
import type { Shown } from "../../http/operation";
import type { Call } from "../../http/request-context";
import { spellAddress } from "../../platform/ip-address";
import type { RelayNodeAddress } from "../../session/relay-node";
import { sessionTokens } from "../../session/relay-tokens";
import { hostOf, type RelayUser, type Session } from "../../session/session";

/** The schema of a token of a session or of a user. */
export const token = z.int().min(1).max(0x7fff_ffff);
const link = z
  .string()
  .meta({ format: "uri", description: "The address of a websocket, without the tokens." });

const websocket = z
  .object({
    port: z.int(),
    protocol: z
      .enum(["WS", "WSS"])
      .meta({ description: "`WS`: without TLS, on a developer's machine." }),
    link,
  })
  .meta({ id: "RelayLink" });

const datagrams = z
  .object({
    port: z.int(),
    protocol: z.literal("UDP"),
    link: z.string().meta({ description: "`host:port`." }),
  })
  .meta({ id: "RelayDatagrams" });

const port = z.union([websocket, datagrams]);
const linkPair = z.object({
  server: websocket.meta({ description: "For the host." }),
  client: websocket.meta({ description: "For everyone else." }),
});

/** The schema of where a session is reached. */
export const relay = z.object({
  ip: z.string().nullable().meta({
    description:
      "The relay's address. Null, unless the host is an address or `localhost`: it is reached by its name.",
  }),
  host: z.string().meta({ description: "The relay's name." }),
  ports: z
    .object({
      server: port.meta({ description: "For the host." }),
      client: port.meta({ description: "For everyone else." }),
    })
    .meta({ description: "Of the relay node, if one carries the session; else websockets." }),
  websocket: linkPair.optional().meta({
    description: "Only if a relay node carries the session: its websockets, for browsers.",
  }),
});

const CREDENTIAL = "For the subprotocol of the websocket, or for its query.";

/** The schema of the answer of a join. */
export const joinAnswer = z
  .object({
    session_id: z.string(),
    session_token: token.meta({ description: CREDENTIAL }),
    user_token: token.meta({ description: CREDENTIAL }),
    link,
    udp: z
      .object({ host: z.string(), port: z.int() })
      .optional()
      .meta({ description: "Only if a relay node carries the session: where datagrams go." }),
  })
  .meta({ id: "RelayJoin" });

/** What the links and tokens of a session are made from. */
export interface LinkSettings {
  /** The origin under which the API was called, such as `https://relay.example.com`. */
  origin: string;
  /** The deployment's secret, from which tokens are derived. */
  secret: string;
}

/** The settings for the links of what this request shows. */
export function linkSettings(c: Call): LinkSettings {
  return { origin: originOf(c.req.url), secret: c.get("config").secret };
}

/**
 * The origin under which this isolate was called last, and how its URLs began: nearly all calls come under one,
 * and parsing its URL would be a good part of what a small answer costs.
 */
let lastOrigin = { start: "", origin: "" };

function originOf(url: string): string {
  const start = url.slice(0, url.indexOf("/", "https://".length));
  if (start !== lastOrigin.start) lastOrigin = { start, origin: new URL(url).origin };
  return lastOrigin.origin;
}

/** The answer of a join: all that the player's game needs to connect. */
export function toJoinAnswer(
  session: Session,
  joined: RelayUser,
  at: LinkSettings,
): Shown<typeof joinAnswer> {
  const { id, node } = session;
  const tokens = sessionTokens(at.secret, id);
  const isHost = joined.n === hostOf(session);
  return {
    session_id: id,
    session_token: tokens.session,
    user_token: tokens.user(joined),
    link: linkTo(id, isHost ? "server" : "client", at.origin),
    ...(node ? { udp: { host: node.host, port: isHost ? node.serverPort : node.clientPort } } : {}),
  };
}

/** The relay is the session's Durable Object, which clients reach through the host of the API; or a node. */
export function toRelay({ id, node, linkBy }: Session, origin: string): Shown<typeof relay> | null {
  const { hostname, ip, port, protocol } = hostAt(origin);
  const toPort = (side: "server" | "client"): Shown<typeof websocket> => ({
    port,
    protocol,
    link: linkTo(id, side, origin),
  });
  const websockets = { server: toPort("server"), client: toPort("client") };
  if (node) {
    const ports = { server: toUdp(node, node.serverPort), client: toUdp(node, node.clientPort) };
    return { ip: node.ip ?? addressOf(node.host), host: node.host, ports, websocket: websockets };
  }
  if (linkBy !== undefined) return null;
  return { ip, host: hostname, ports: websockets };
}

/** What is shown of an origin beside each session. The last one is remembered, as for `originOf`. */
interface Host {
  origin: string;
  hostname: string;
  ip: string | null;
  port: number;
  protocol: "WS" | "WSS";
}

let lastHost: Host | null = null;

function hostAt(origin: string): Host {
  if (lastHost?.origin === origin) return lastHost;
  const { hostname, port, protocol } = new URL(origin);
  const secure = protocol === "https:";
  lastHost = {
    origin,
    hostname,
    ip: addressOf(hostname),
    port: Number(port || (secure ? 443 : 80)),
    protocol: secure ? "WSS" : "WS",
  };
  return lastHost;
}

function toUdp({ host }: RelayNodeAddress, port: number): Shown<typeof datagrams> {
  const bracketed = host.includes(":") ? `[${host}]` : host;
  return { port, protocol: "UDP", link: `${bracketed}:${port}` };
}

/** The address of a host: a name may have many, so there is one only if the host is one. */
function addressOf(host: string): string | null {
  return host === "localhost" ? "127.0.0.1" : spellAddress(host.replace(/^\[|\]$/g, ""));
}

function linkTo(id: string, side: "server" | "client", origin: string): string {
  return `${origin.replace(/^http/, "ws")}/v1/relays/sessions/${id}/${side}`;
}
