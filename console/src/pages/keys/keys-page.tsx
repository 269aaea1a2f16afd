/** The page API keys: the list, one key, or a new one. */
import { KeyList } from "./key-list";
import "./keys.css";
import { NewKey } from "./new-key";
import { OneKey } from "./one-key";

/** The page API keys. */
export default function KeysPage({ path }: { path: readonly string[] }) {
  const [id] = path;
  if (id === undefined) return <KeyList />;
  if (id === "new") return <NewKey />;
  // Another key is another page: no form of the first is left open.
  return <OneKey key={id} id={Number(id)} />;
}
