// Schemas of the metadata definitions.
import { type Static, Type } from "typebox"
import { anyObject, closed, mapOf, object, word } from "../../platform/schema/make.ts"
import { attributeReadOnly } from "../index.ts"

const text = Type.String()
const shortText = Type.String({ maxLength: 80 })
const name = Type.String({ minLength: 1, maxLength: 80 })
const time = Type.String({ readOnly: true, description: "Date and time." })
const times = { created_at: time, updated_at: time }
const links = { self: Type.String({ readOnly: true }), schema: Type.String({ readOnly: true }) }
const texts = Type.Array(text)
const count = Type.Integer({ minimum: 0 })

/** What a property's definition may say: a part of JSON Schema itself. */
const definition = {
  title: text,
  description: text,
  operators: texts,
  type: word(["array", "boolean", "integer", "number", "object", "string", "null"]),
  required: Type.Array(text, { uniqueItems: true }),
  minimum: Type.Number(),
  maximum: Type.Number(),
  maxLength: count,
  minLength: count,
  pattern: text,
  enum: Type.Unsafe<unknown[]>({ type: "array" }),
  readonly: Type.Boolean(),
  default: Type.Unknown(),
  items: anyObject,
  maxItems: count,
  minItems: count,
  uniqueItems: Type.Boolean(),
  additionalItems: Type.Boolean(),
}

/** Clients may not send back what only we say. */
export function checkWritable(body: object): void {
  const found = Object.keys({ ...links, ...times }).find((name) => Object.hasOwn(body, name))
  if (found) throw attributeReadOnly(found)
}

const properties = mapOf(object(definition, ["title", "type"]))

export const objectProperties = { name, description: text, required: texts, properties, ...links, ...times }
export const propertyProperties = { name, ...definition }
export const tagProperties = { name, ...times }
export const associationProperties = { name, prefix: shortText, properties_target: shortText, ...times }

export const namespaceProperties = {
  namespace: name,
  display_name: shortText,
  description: Type.String({ maxLength: 500 }),
  visibility: word(["public", "private"]),
  protected: Type.Boolean(),
  owner: Type.String({ maxLength: 255 }),
  ...links,
  ...times,
  resource_type_associations: Type.Array(object(associationProperties, ["name"])),
  properties,
  objects: Type.Array(object(objectProperties, ["name"])),
  tags: Type.Array(object(tagProperties, ["name"])),
}

export const namespaceBody = closed(namespaceProperties, ["namespace"])
export const objectBody = closed(objectProperties, ["name"])
export const propertyBody = closed(propertyProperties, ["name", "title", "type"])
export const tagBody = closed(tagProperties, ["name"])
export const tagsBody = closed({ tags: Type.Array(tagBody) }, ["tags"])
export const associationBody = closed(associationProperties, ["name"])
export type NamespaceBody = Static<typeof namespaceBody>
export type AssociationBody = Static<typeof associationBody>
