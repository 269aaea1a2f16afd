/** The page Relay permissions: connections, what two of them may send to each other, and the permissions. */
import { Tabs } from "../../parts/tabs";
import { Connections } from "./connections";
import { Pair } from "./pair-view";
import "./permissions.css";
import { PermissionList } from "./permission-list";

/** The page Relay permissions. */
export default function PermissionsPage({ path }: { path: readonly string[] }) {
  const [view, one, other] = path;
  const tab = (title: string, ...to: string[]) => ({
    title,
    to: ["permissions", ...to],
    current: view === to[0],
  });
  return (
    <>
      <h1>Relay permissions</h1>
      <p class="muted">
        A connection is a name for one of your own sites, customers or machines, such as plant-a. A
        user of a relay session may carry one; then relay permissions say to which other connections
        this user may send.
      </p>
      <Tabs
        label="Parts of this page"
        tabs={[
          tab("Connections"),
          tab("Between two connections", "pair"),
          tab("All relay permissions", "list"),
        ]}
      />
      {view === "pair" ? (
        <Pair key={`${one}/${other}`} one={one ?? ""} other={other ?? ""} />
      ) : view === "list" ? (
        <PermissionList key={one} connectionId={one ?? ""} />
      ) : (
        <Connections />
      )}
    </>
  );
}
