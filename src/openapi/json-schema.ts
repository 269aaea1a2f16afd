/**
 * JSON Schemas of Zod schemas, for the description of the API. Schemas with an id in their metadata become
 * components, which the others refer to.
 */
import * as z from "zod";
import { EXAMPLES } from "./examples";

/** A JSON Schema of draft 2020-12, as OpenAPI 3.1 has it. */
export interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

/** Where components stand in an OpenAPI document. */
const COMPONENTS = "#/components/schemas/";

/** Makes JSON Schemas, and collects the components that they refer to. */
export class SchemaWriter {
  readonly components: Record<string, JsonSchema> = {};

  /**
   * What a caller may send: the input of the schema, before any transform.
   * @param name makes it a component, so that generated clients have a type of this name
   */
  ofInput(schema: z.ZodType, name?: string): JsonSchema {
    const written = this.#write(schema, "input");
    if (name === undefined || "$ref" in written) return written;
    this.#add(name, written);
    return { $ref: COMPONENTS + name };
  }

  /** What Drawbridge answers. Clients must ignore fields that they do not know, so objects stay open. */
  ofOutput(schema: z.ZodType): JsonSchema {
    return this.#write(schema, "output");
  }

  #write(schema: z.ZodType, io: "input" | "output"): JsonSchema {
    // Only a schema inside another becomes a component.
    const { properties, $defs } = z.toJSONSchema(z.object({ root: schema }), {
      io,
      unrepresentable: "any",
      override: ({ zodSchema, jsonSchema }) => {
        const { def } = (zodSchema as z.core.$ZodTypes)._zod;
        // Zod leaves out the default of a text that becomes a number: in a query, the two are the same.
        if (def.type === "default" && typeof def.defaultValue === "number") {
          jsonSchema.default = def.defaultValue;
        }
        tidy(jsonSchema as JsonSchema, io);
      },
    });
    for (const [id, component] of Object.entries($defs ?? {})) this.#add(id, refer(component));
    return refer(properties?.root) as JsonSchema;
  }

  #add(id: string, written: unknown): void {
    const examples = id in EXAMPLES ? { examples: [EXAMPLES[id]] } : {};
    const component = { ...(written as JsonSchema), ...examples };
    const known = this.components[id];
    if (known && JSON.stringify(known) !== JSON.stringify(component)) {
      throw new Error(`two different schemas have the id ${id}`);
    }
    this.components[id] = component;
  }
}

function tidy(schema: JsonSchema, io: "input" | "output"): void {
  if (io === "output" && schema.additionalProperties === false) delete schema.additionalProperties;
  // A number in a query is text to Zod, and its pattern says nothing about a number.
  if (schema.type === "integer" && "pattern" in schema) delete schema.pattern;
  // The bounds of every exact integer of JavaScript say nothing about the field.
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  // What may be null is described where readers look first, and not inside an alternative.
  const [inner, ...others] = Array.isArray(schema.anyOf) ? schema.anyOf : [];
  if (schema.description === undefined && inner?.description && others[0]?.type === "null") {
    schema.description = inner.description;
    delete inner.description;
  }
  // Zod's pattern of a date is longer than all else, and `format` says the same.
  if (schema.format === "date-time") delete schema.pattern;
}

/** The same with references to components, where Zod refers to its `$defs`. */
function refer(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(refer);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === "$ref" ? String(inner).replace("#/$defs/", COMPONENTS) : refer(inner),
    ]),
  );
}
