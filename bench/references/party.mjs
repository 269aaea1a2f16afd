/** The same relay with partyserver, as its readme says: connections that hibernate, and their state. */
import { getServerByName, Server } from "partyserver";
import { route } from "./relay.mjs";

/** Connects a websocket: `/party/<room>/<id>`. */
export async function connectParty(request, env) {
  const room = new URL(request.url).pathname.split("/")[2];
  return (await getServerByName(env.PartyRelay, room)).fetch(request);
}

/** The object of one session. */
export class PartyRelay extends Server {
  static options = { hibernate: true };

  #host = null;
  #clients = new Map();

  onStart() {
    for (const connection of this.getConnections()) this.#add(connection, connection.state.id);
  }

  onConnect(connection, { request }) {
    const id = Number(new URL(request.url).pathname.split("/")[3]);
    connection.setState({ id });
    this.#add(connection, id);
    connection.send('{"type":"ready"}');
  }

  onMessage(connection, message) {
    route(new Uint8Array(message), connection.state.id, this.#host, this.#clients);
  }

  onClose(connection) {
    const { id } = connection.state;
    if (id === 0) this.#host = null;
    else this.#clients.delete(id);
  }

  #add(connection, id) {
    if (id === 0) this.#host = connection;
    else this.#clients.set(id, connection);
  }
}
