// JSON Schemas of the metadata definitions.
import type { JsonSchema } from "../../platform/http/wire.ts"

const name = { type: "string", minLength: 1, maxLength: 80 }
const time = { type: "string", readOnly: true, description: "Date and time." }
const times = { created_at: time, updated_at: time }
const links = { self: { type: "string", readOnly: true }, schema: { type: "string", readOnly: true } }
const texts = { type: "array", items: { type: "string" } }
const count = { type: "integer", minimum: 0 }

/** What a property's definition may say: a part of JSON Schema itself. */
const definition = {
  title: { type: "string" },
  description: { type: "string" },
  operators: texts,
  type: { type: "string", enum: ["array", "boolean", "integer", "number", "object", "string", "null"] },
  required: { type: "array", items: { type: "string" }, uniqueItems: true },
  minimum: { type: "number" },
  maximum: { type: "number" },
  maxLength: count,
  minLength: count,
  pattern: { type: "string" },
  enum: { type: "array" },
  readonly: { type: "boolean" },
  default: {},
  items: { type: "object" },
  maxItems: count,
  minItems: count,
  uniqueItems: { type: "boolean" },
  additionalItems: { type: "boolean" },
}

const properties = {
  type: "object",
  additionalProperties: { type: "object", properties: definition, required: ["title", "type"] },
}

export const objectProperties = {
  name,
  description: { type: "string" },
  required: texts,
  properties,
  ...links,
  ...times,
}

export const propertyProperties = { name, ...definition }

export const tagProperties = { name, ...times }

export const associationProperties = {
  name,
  prefix: { type: "string", maxLength: 80 },
  properties_target: { type: "string", maxLength: 80 },
  ...times,
}

export const namespaceProperties = {
  namespace: name,
  display_name: { type: "string", maxLength: 80 },
  description: { type: "string", maxLength: 500 },
  visibility: { type: "string", enum: ["public", "private"] },
  protected: { type: "boolean" },
  owner: { type: "string", maxLength: 255 },
  ...links,
  ...times,
  resource_type_associations: {
    type: "array",
    items: { type: "object", properties: associationProperties, required: ["name"] },
  },
  properties,
  objects: { type: "array", items: { type: "object", properties: objectProperties, required: ["name"] } },
  tags: { type: "array", items: { type: "object", properties: tagProperties, required: ["name"] } },
}

const closed = (known: JsonSchema, required: readonly string[]): JsonSchema => ({
  type: "object",
  properties: known,
  required,
  additionalProperties: false,
})

export const namespaceBody = closed(namespaceProperties, ["namespace"])
export const objectBody = closed(objectProperties, ["name"])
export const propertyBody = closed(propertyProperties, ["name", "title", "type"])
export const tagBody = closed(tagProperties, ["name"])
export const tagsBody = closed({ tags: { type: "array", items: tagBody } }, ["tags"])
export const associationBody = closed(associationProperties, ["name"])
