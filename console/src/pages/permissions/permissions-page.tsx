/** The page Permissions: connections, what two of them may send to each other, and the relay permissions. */
import { href } from "../../routes";
import { Connections } from "./connections";
import { Pair } from "./pair-view";
import "./permissions.css";
import { PermissionList } from "./permission-list";

/** The page Permissions. */
export default function PermissionsPage({ path }: { path: readonly string[] }) {
  const [view, one, other] = path;
  return (
    <>
      <h1>Permissions</h1>
      <nav class="views" aria-label="Parts of this page">
        <View to={[]} title="Connections" current={view === undefined} />
        <View to={["pair"]} title="Between two connections" current={view === "pair"} />
        <View to={["list"]} title="All relay permissions" current={view === "list"} />
      </nav>
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

function View({ to, title, current }: { to: readonly string[]; title: string; current: boolean }) {
  return (
    <a href={href("permissions", ...to)} aria-current={current ? "page" : undefined}>
      {title}
    </a>
  );
}
