/**
 * Error responses that several operations have in common become components: written out each time, they
 * would double the document.
 */
import { createHash } from "node:crypto";

/** An OpenAPI document, as far as this file is concerned. */
interface Document {
  paths: Record<string, Record<string, OperationObject>>;
}

interface OperationObject {
  operationId: string;
  responses: Record<string, object>;
}

/**
 * Replaces error responses that occur more than once by references.
 * @returns the components, by name: the status and a hash of the response, so that a new operation renames
 *   no component
 */
export function shareErrorResponses({ paths }: Document): Record<string, object> {
  const uses = new Map<string, { status: string; response: object; users: OperationObject[] }>();
  const operations = Object.values(paths).flatMap((path) => Object.values(path));
  for (const operation of operations) {
    for (const [status, response] of Object.entries(operation.responses)) {
      if (Number(status) < 400) continue;
      const name = `Error${status}-${hashOf(response)}`;
      const use = uses.get(name) ?? { status, response, users: [] };
      use.users.push(operation);
      uses.set(name, use);
    }
  }
  const components: Record<string, object> = {};
  for (const [name, { status, response, users }] of [...uses].sort(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    if (users.length < 2) continue;
    components[name] = response;
    for (const user of users) user.responses[status] = { $ref: `#/components/responses/${name}` };
  }
  return components;
}

/** The first 8 hexadecimal digits of the SHA-256 of its JSON. */
function hashOf(response: object): string {
  return createHash("sha256").update(JSON.stringify(response)).digest("hex").slice(0, 8);
}
