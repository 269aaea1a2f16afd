/** The page Source sessions: their list, and one of them: `#/source-sessions/{id}`. */
import { SourceSessionList } from "./source-session-list";
import { SourceSessionView } from "./source-session-view";

export default function SourceSessionsPage({ path: [id] }: { path: readonly string[] }) {
  return id === undefined ? <SourceSessionList /> : <SourceSessionView key={id} id={id} />;
}
