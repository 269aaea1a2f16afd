/**
 * The reference Workers: what the platform allows. Each is written by hand for one call, with the same primitives
 * (the same rows, objects, digests) and nothing else; those that are called `checked`, `guarded` or `answered` also
 * with what makes Drawbridge's own answers right. A path is a Worker of its own: they share a file so that one
 * process holds all of them. Nobody should run them: they have no limits, no errors worth reading, no retries.
 */
import { authorize, create, createGuarded, read, readChecked } from "./calls.mjs";
import { empty, emptyAnswered, emptyWithHono } from "./empty.mjs";
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
  "empty-answered": finished(emptyAnswered),
  hono: emptyWithHono,
  verify: finished(verify),
  read,
  "read-checked": finished(readChecked),
  create,
  "create-guarded": finished(createGuarded),
  authorize,
  "list-sessions": listSessions,
  "list-sessions-checked": finished(listSessionsChecked),
  "list-pending": listPending,
  "list-pending-checked": finished(listPendingChecked),
  test: sendTest,
  "test-checked": finished(sendTestChecked),
  relay: connect,
  party: connectParty,
};

/** A Worker that finishes what it has begun, even if its caller hangs up. */
function finished(handle) {
  return (request, env, ctx) => {
    const work = handle(request, env, ctx);
    ctx.waitUntil(work);
    return work;
  };
}

export default {
  fetch(request, env, ctx) {
    // `http://host/`, then the Worker's name.
    const path = request.url.slice(request.url.indexOf("/", 8) + 1);
    const end = path.search(/[/?]/);
    return WORKERS[end === -1 ? path : path.slice(0, end)](request, env, ctx);
  },
};
