/** All that is known of an API key. */
import type { ApiKey } from "drawbridge-client";
import type { ComponentChildren } from "preact";
import { Ago, Untrusted } from "../../parts/text";
import { EVERYTHING, PERMISSION_GROUPS } from "../../permission-words";

const WORDS = new Map(
  PERMISSION_GROUPS.flatMap(({ permissions }) => permissions).map(({ name, words }) => [
    name,
    words,
  ]),
).set(EVERYTHING, "do everything");

/** The facts, and below them what it may do. */
export function KeyFacts({ apiKey }: { apiKey: ApiKey }) {
  const { token } = apiKey;
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    ["Number", apiKey.id],
    ["Token", <code key="token">{token.short}…</code>],
    ["Token made", <Ago key="made" at={token.creationTimestamp} />],
    ["Last use", <Ago key="use" at={token.lastUseTimestamp} />],
    ["Ends", apiKey.expiresAt ? <Ago key="ends" at={apiKey.expiresAt} /> : nothing("never")],
    ["Allowed addresses", list(apiKey.ipAllowlist, "anywhere")],
    ["E-mail addresses", list(apiKey.emails ?? [], "none")],
    ["Labels", list(apiKey.labels ?? [], "none")],
    ["DNS name", apiKey.dnsName ?? nothing("none")],
    [
      "Organisations",
      list(
        apiKey.organizations.map(({ name }) => name),
        "none of yours",
      ),
    ],
    ["Made", <Ago key="created" at={apiKey.creationTimestamp} />],
    ["Changed", <Ago key="changed" at={apiKey.updateTimestamp} />],
  ];
  return (
    <section class="card" aria-label="The key">
      <dl class="facts">
        {facts.map(([name, value]) => (
          <Fact key={name} name={name} value={value} />
        ))}
      </dl>
      <h2>Permissions</h2>
      {apiKey.permissions?.length ? (
        <ul class="held">
          {apiKey.permissions.map((name) => (
            <li key={name}>
              <code>{name}</code>{" "}
              <span class="muted">{WORDS.get(name) ?? "a name of your own"}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p class="muted">Nothing.</p>
      )}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function list(entries: readonly string[], none: string): ComponentChildren {
  if (entries.length === 0) return nothing(none);
  return entries.map((entry) => (
    <div key={entry}>
      <Untrusted text={entry} />
    </div>
  ));
}

function nothing(words: string) {
  return <span class="muted">{words}</span>;
}
