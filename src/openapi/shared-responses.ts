/**
 * Error responses that many operations have in common become components: the same eight lines a thousand
 * times would make the document five times as long.
 */

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
 * @returns the components, by name: the status, and a number where a status has several
 */
export function shareErrorResponses({ paths }: Document): Record<string, object> {
  const uses = new Map<string, OperationObject[]>();
  const operations = Object.values(paths).flatMap((path) => Object.values(path));
  for (const operation of operations) {
    for (const [status, response] of Object.entries(operation.responses)) {
      if (Number(status) < 400) continue;
      const use = `${status} ${JSON.stringify(response)}`;
      uses.set(use, [...(uses.get(use) ?? []), operation]);
    }
  }
  const components: Record<string, object> = {};
  const counts = new Map<string, number>();
  for (const [use, users] of uses) {
    const status = use.slice(0, 3);
    const [first] = users;
    const response = first?.responses[status];
    if (users.length < 2 || !response) continue;
    const count = (counts.get(status) ?? 0) + 1;
    counts.set(status, count);
    const name = `Error${status}-${count}`;
    components[name] = response;
    for (const user of users) user.responses[status] = { $ref: `#/components/responses/${name}` };
  }
  return components;
}
