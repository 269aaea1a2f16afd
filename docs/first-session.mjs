// A relay session with a host and a client, in plain Node (22 or newer): docs/getting-started.md.
//
//   BASE=http://localhost:8787 KEY=drb_… node docs/first-session.mjs
const { BASE, KEY } = process.env;

const answer = await fetch(`${BASE}/v1/relays/sessions`, {
  method: "POST",
  headers: { Authorization: `token ${KEY}` },
  body: JSON.stringify({ users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }] }),
});
const session = await answer.json();
if (!answer.ok) throw new Error(session.message);
console.log(`session ${session.session_id} is ${session.status}`);

const [hostUser, clientUser] = session.session_users;
const { server, client } = session.relay.ports;
const hostSocket = open("host", server.link, hostUser);
const clientSocket = open("client", client.link, clientUser);

// The host answers each payload: its frames name the client, in four bytes after the 2.
hostSocket.addEventListener("message", ({ data }) => {
  const frame = Buffer.from(data);
  if (typeof data === "string" || frame[0] !== 2) return;
  console.log(`host gets "${frame.subarray(5)}" from client ${frame.readInt32LE(1)}`);
  hostSocket.send(Buffer.concat([frame.subarray(0, 5), Buffer.from("welcome")]));
});

// The client speaks when the host is there, and ends the session when it has its answer.
clientSocket.addEventListener("message", async ({ data }) => {
  if (typeof data === "string") {
    if (JSON.parse(data).type === "host_joined") clientSocket.send(Buffer.from("\x02hello"));
    return;
  }
  const frame = Buffer.from(data);
  if (frame[0] !== 2) return;
  console.log(`client gets "${frame.subarray(1)}"`);
  const url = `${BASE}/v1/relays/sessions/${session.session_id}`;
  await fetch(url, { method: "DELETE", headers: { Authorization: `token ${KEY}` } });
});

function open(name, link, user) {
  const url = `${link}?session_token=${session.authorization_token}&user_token=${user.authorization_token}`;
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  // One ping, so that a close is seen at once.
  socket.addEventListener("open", () => socket.send(Uint8Array.of(1)));
  socket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") console.log(`${name} is told ${data}`);
  });
  socket.addEventListener("close", ({ code }) => console.log(`${name} is closed with ${code}`));
  return socket;
}
