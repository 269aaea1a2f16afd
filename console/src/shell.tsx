/** What is around every page: the name, the navigation, the person; or the page to sign in. */
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Needs, useAction } from "./parts/action";
import { Untrusted } from "./parts/text";
import { address, href, leave, type Page, ROUTES, type Route } from "./routes";
import { showText } from "./show-text";
import { SignIn, Starting } from "./sign-in";
import { changeOrganisation, may, type Person, signedIn, signOut } from "./signed-in";

/** The console. */
export function Shell() {
  const now = signedIn.value;
  const state = useRef(now.state);
  const came = state.current;
  state.current = now.state;
  if (now.state === "starting") return <Starting problem={now.problem} />;
  if (now.state === "out") return <SignIn notice={now.notice} methods={now.methods} />;
  // Another organisation is another console: what was shown of the first is gone.
  return (
    <Inside key={now.person.organisation_id} person={now.person} focused={came !== "starting"} />
  );
}

interface InsideProps {
  person: Person;
  /** Whether what the person had in hand is gone, so that the page itself takes the focus. */
  focused: boolean;
}

function Inside({ person, focused }: InsideProps) {
  const [name = ROUTES[0]?.name, ...path] = address.value;
  const route = ROUTES.find((one) => one.name === name);
  const title = route?.title ?? "No such page";
  useEffect(() => {
    document.title = `${title} · Drawbridge`;
  }, [title]);
  const atFirst = useRef(!focused);
  useEffect(() => {
    // What was pressed may be gone with the page before.
    const isLost = document.activeElement === document.body;
    if (isLost && !atFirst.current) document.getElementById("main")?.focus();
    atFirst.current = false;
  }, [address.value]);
  return (
    <div class="shell">
      {/* A button: the address names the page, so that it cannot name a place in it. */}
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the page
      </button>
      <header class="top">
        <a class="site-name" href={href()}>
          <img src="/shared/icon.svg" alt="" width="28" height="28" />
          Drawbridge
        </a>
        <Who person={person} />
      </header>
      <nav class="places" aria-label="Pages of the console">
        <ul>
          {ROUTES.map((one) => (
            <li key={one.name}>
              <a
                href={href(one.name)}
                aria-current={one === route ? "page" : undefined}
                class={may(one.permission) ? undefined : "shut"}
              >
                {one.title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" tabIndex={-1}>
        {route ? <Opened route={route} path={path} /> : <NoSuchPage />}
      </main>
    </div>
  );
}

function Who({ person }: { person: Person }) {
  const { running, start } = useAction(signOut);
  const current = person.organisations.find(({ id }) => id === person.organisation_id);
  return (
    <div class="who">
      {person.organisations.length > 1 ? (
        <Organisations person={person} />
      ) : (
        <span>
          <span class="muted what">Organisation</span>{" "}
          <strong>
            <Untrusted text={current?.name} />
          </strong>{" "}
          ({person.organisation_id})
        </span>
      )}
      <span class="person">
        <span class="muted">{person.email === null ? "API key" : "Person"}</span>{" "}
        <Untrusted text={person.email ?? person.key_name} />
      </span>
      <button type="button" onClick={() => leave(() => void start())} disabled={running}>
        Sign out
      </button>
    </div>
  );
}

/** In which organisation of the key the person acts. */
function Organisations({ person }: { person: Person }) {
  const wanted = useRef(person.organisation_id);
  const { running, error, start } = useAction(() => changeOrganisation(wanted.current));
  return (
    <>
      <label>
        <span class="muted what">Organisation</span>{" "}
        <select
          // A change that failed leaves the old one chosen.
          key={error}
          value={person.organisation_id}
          disabled={running}
          onChange={(event) => {
            const select = event.currentTarget;
            const chosen = Number(select.value);
            // Whoever is asked first, and stays, is where they were.
            select.value = String(person.organisation_id);
            leave(() => {
              select.value = String(chosen);
              wanted.current = chosen;
              void start();
            });
          }}
        >
          {person.organisations.map(({ id, name }) => (
            <option key={id} value={id}>
              {`${showText(name)} (${id})`}
            </option>
          ))}
        </select>
      </label>
      {error && (
        <span class="problem" role="alert">
          {error}
        </span>
      )}
    </>
  );
}

const loaded = signal<ReadonlyMap<Route, Page>>(new Map());
const failed = signal<Route | null>(null);

/** A page is loaded when it is opened for the first time. */
function Opened({ route, path }: { route: Route; path: readonly string[] }) {
  const Found = loaded.value.get(route);
  const allowed = may(route.permission);
  useEffect(() => {
    if (!Found && allowed) void load(route);
  }, [route, allowed]);
  if (!allowed) {
    return (
      <>
        <h1>{route.title}</h1>
        <p>
          Your API key does not let you see this: it <Needs permission={route.permission} />. Who
          manages the keys can add it.
        </p>
      </>
    );
  }
  if (Found) return <Found path={path} />;
  if (failed.value !== route) return <p class="starting">Loading …</p>;
  return (
    <p class="problem" role="alert">
      The page could not be loaded. The service cannot be reached, or has been deployed anew.{" "}
      <button type="button" onClick={() => location.reload()}>
        Load the console again
      </button>
    </p>
  );
}

async function load(route: Route): Promise<void> {
  failed.value = null;
  try {
    const { default: page } = await route.load();
    loaded.value = new Map([...loaded.value, [route, page]]);
  } catch {
    failed.value = route;
  }
}

function NoSuchPage() {
  return (
    <>
      <h1>No such page</h1>
      <p>The address names no page of the console. Choose one in the navigation.</p>
    </>
  );
}
