/**
 * A player who uses the client, in whichever runtime runs this: joins, greets the host, and answers what the
 * host says, until the host says "enough". Its connection is cut meanwhile. In Node it is a program that gets
 * the address and the code; in a Worker each request is such a game.
 */
import { joinRelay } from "drawbridge-client/relay";

/** @returns what happened: the runtime, what the host said, and the events of the connection */
export async function play(url, code) {
  const relay = await joinRelay({ url, code, codec: "json" });
  const types = [];
  for (const type of ["hostjoined", "reconnecting", "reconnected", "closed"]) {
    relay.addEventListener(type, () => types.push(type));
  }
  const said = [];
  relay.send("hello");
  await new Promise((over) => {
    relay.addEventListener("message", ({ data }) => {
      said.push(data);
      if (data === "enough") over();
      else relay.send({ re: data });
    });
  });
  relay.close();
  return { runtime: navigator.userAgent, said, types, measured: relay.roundTripMs !== null };
}

export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    return Response.json(await play(searchParams.get("url"), searchParams.get("code")));
  },
};

const [, , url, code] = globalThis.process?.argv ?? [];
if (url && code) console.log(JSON.stringify(await play(url, code)));
