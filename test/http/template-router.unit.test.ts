/** Which operation a path reaches: as Hono's own router finds it, with patterns in place of templates. */
import fc from "fast-check";
import { TrieRouter } from "hono/router/trie-router";
import { describe, expect, test } from "vitest";
import type { Operation } from "../../src/http/operation";
import { TemplateRouter } from "../../src/http/template-router";
import { OPERATIONS } from "../../src/surfaces/all";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const VERB = /(?<=\}):[a-z-]+$/;

const ours = new TemplateRouter<Operation>();
for (const operation of OPERATIONS) ours.add(operation.method, operation.path, operation);

/** Hono's router, to which a verb behind a parameter is a part of the parameter. */
const honos = new TrieRouter<Operation>();
const besideVerbs = new Set(
  OPERATIONS.map(({ path }) => path)
    .filter((path) => VERB.test(path))
    .map((path) => path.replace(VERB, "")),
);
for (const operation of OPERATIONS) {
  const { method, path } = operation;
  const pattern = path
    .replace(/\{(\w+)\}$/, besideVerbs.has(path) ? ":$1{[^:/]+}" : ":$1")
    .replace(/\{(\w+)\}(:[a-z-]+)$/, ":$1{[^:/]+$2}")
    .replace(/\{(\w+)\}/g, ":$1");
  honos.add(method, pattern, operation);
}

/** The operation that answers, and its parameters without verbs; null: there is none. */
function found(router: TemplateRouter<Operation> | TrieRouter<Operation>, of: string, at: string) {
  const [first] = router.match(of, at)[0] as [Operation, Record<string, string>][];
  if (!first) return null;
  const [operation, params] = first;
  const verb = router === honos ? (VERB.exec(operation.path)?.[0] ?? "") : "";
  const values = Object.entries(params).map(([name, value]) => [
    name,
    verb === "" ? value : value.replace(new RegExp(`${verb}$`), ""),
  ]);
  return { id: operation.id, params: Object.fromEntries(values) };
}

const words = [...new Set(OPERATIONS.flatMap(({ path }) => path.split(/[/{}]/)))];
const part = fc.oneof(
  fc.constantFrom(...words),
  fc.constantFrom("x", "x:use", "a:b", ":use", "x:", ":", "1:use:use", "{id}", "*", "__proto__"),
  fc.string({ maxLength: 8 }).map((text) => text.replaceAll("/", "")),
);
const filled = fc
  .tuple(fc.constantFrom(...OPERATIONS), fc.array(part, { minLength: 4, maxLength: 4 }))
  .map(([{ path }, values]) => {
    let i = 0;
    return path.replace(/\{\w+\}/g, () => values[i++] ?? "");
  });
const anyPath = fc.oneof(
  filled,
  fc.array(part, { maxLength: 7 }).map((parts) => `/${parts.join("/")}`),
  fc.tuple(filled, part).map(([path, more]) => `${path}/${more}`),
);

describe("the router", () => {
  test("finds for any method and path what Hono's router finds, with the same parameters", () => {
    fc.assert(
      fc.property(fc.constantFrom(...METHODS), anyPath, (method, path) => {
        expect(found(ours, method, path)).toEqual(found(honos, method, path));
      }),
      { numRuns: 3_000 },
    );
  });

  test("finds one operation where several templates fit, for Hono would call all of them", () => {
    const many = OPERATIONS.filter(({ path }) => path.startsWith("/v1/relay-nodes/"));
    expect(many.length).toBeGreaterThan(1);
    expect(ours.match("GET", "/v1/relay-nodes/link")[0]).toHaveLength(1);
    expect(found(ours, "GET", "/v1/relay-nodes/link")?.id).not.toBe(
      found(ours, "GET", "/v1/relay-nodes/other")?.id,
    );
    // Where the exact path does not take the method, the one with the parameter does.
    expect(found(ours, "DELETE", "/v1/relay-nodes/link")?.params).toEqual({ id: "link" });
  });

  test("gives all operations at a path, for OPTIONS and for 405", () => {
    const methods = (path: string) => ours.at(path).map(({ method }) => method);
    expect(methods("/v1/relay-nodes/link").sort()).toEqual(["DELETE", "GET", "GET", "PATCH"]);
    expect(methods("/v1/keys:verify")).toEqual(["POST"]);
    expect(methods("/v1/sessions/1:use")).toEqual(["POST"]);
    expect(methods("/v1/sessions/1")).toEqual([]);
    expect(methods("/nowhere")).toEqual([]);
  });

  test("refuses a second route for the same method and template", () => {
    const router = new TemplateRouter<number>();
    router.add("GET", "/a/{id}", 1);
    router.add("POST", "/a/{id}", 2);
    expect(() => router.add("GET", "/a/{id}", 3)).toThrow("two routes GET /a/{id}");
  });
});
