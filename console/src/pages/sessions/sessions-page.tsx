/** The page Relay sessions: their list, and one of them: `#/sessions/{id}`. */
import { SessionList } from "./session-list";
import { SessionView } from "./session-view";
import "./sessions.css";

export default function SessionsPage({ path: [id] }: { path: readonly string[] }) {
  return id === undefined ? <SessionList /> : <SessionView key={id} id={id} />;
}
