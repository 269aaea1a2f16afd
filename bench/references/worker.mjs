/**
 * The reference Workers: what the platform allows. Each is written by hand for one call, with the same primitives
 * (the same rows, objects, digests) and nothing else. A path is a Worker of its own: they share a file so that one
 * process holds all of them. Nobody should run them: they have no limits, no errors worth reading, no retries.
 */
import { authorize, create, read, readChecked } from "./calls.mjs";
import { empty, emptyWithHono } from "./empty.mjs";
import { listPending, listPendingChecked, listSessions, listSessionsChecked } from "./lists.mjs";
import { connectParty } from "./party.mjs";
import { connect } from "./relay.mjs";
import { verify } from "./verify.mjs";
import { sendTest, sendTestChecked } from "./webhook.mjs";

export { PartyRelay } from "./party.mjs";
export { ReferenceRelay } from "./relay.mjs";
export { ReferenceJournal, ReferenceSession } from "./session-object.mjs";

const WORKERS = {
  empty,
  hono: emptyWithHono,
  verify,
  read,
  "read-checked": readChecked,
  create,
  authorize,
  "list-sessions": listSessions,
  "list-sessions-checked": listSessionsChecked,
  "list-pending": listPending,
  "list-pending-checked": listPendingChecked,
  test: sendTest,
  "test-checked": sendTestChecked,
  relay: connect,
  party: connectParty,
};

export default {
  fetch(request, env, ctx) {
    // `http://host/`, then the Worker's name.
    const path = request.url.slice(request.url.indexOf("/", 8) + 1);
    const end = path.search(/[/?]/);
    return WORKERS[end === -1 ? path : path.slice(0, end)](request, env, ctx);
  },
};
