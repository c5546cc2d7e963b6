// Schemas that clients ask for: `glance` reads them to know which attributes an image has.
import type { TProperties } from "typebox"
import { links, rare, shape, text, texts } from "../../api/openstack/shape.ts"
import { type JsonSchema, type Route, route } from "../../platform/http/wire.ts"
import { anyObject } from "../../platform/schema/make.ts"
import { imageProperties, memberProperties, taskProperties } from "./image-schema.ts"
import {
  associationProperties,
  namespaceProperties,
  objectProperties,
  propertyProperties,
  tagProperties,
} from "./metadef-schema.ts"

const imageLinks = [
  { rel: "self", href: "{self}" },
  { rel: "enclosure", href: "{file}" },
  { rel: "describedby", href: "{schema}" },
]

function noun(name: string, properties: TProperties, extra: JsonSchema = {}): JsonSchema {
  return { name, properties, ...extra }
}

/** A page of nouns. */
function collection(name: string, item: JsonSchema): JsonSchema {
  return {
    name,
    properties: {
      [name]: { type: "array", items: item },
      first: { type: "string" },
      next: { type: "string" },
      schema: { type: "string" },
    },
    links: [
      { rel: "first", href: "{first}" },
      { rel: "next", href: "{next}" },
      { rel: "describedby", href: "{schema}" },
    ],
  }
}

const image = noun("image", imageProperties, {
  additionalProperties: { type: "string" },
  links: imageLinks,
})
const member = noun("member", memberProperties)
const task = noun("task", taskProperties)

const namespace = noun("namespace", namespaceProperties, { required: ["namespace"] })
const object = noun("object", objectProperties, { required: ["name"] })
const property = noun("property", propertyProperties, { required: ["type", "title"] })
const tag = noun("tag", tagProperties, { required: ["name"] })
const association = noun("resource_type_association", associationProperties, { required: ["name"] })

const schemas: Readonly<Record<string, JsonSchema>> = {
  image,
  images: collection("images", image),
  member,
  members: collection("members", member),
  task,
  tasks: collection("tasks", task),
  "metadefs/namespace": namespace,
  "metadefs/namespaces": collection("namespaces", namespace),
  "metadefs/resource_type": association,
  "metadefs/resource_types": collection("resource_type_associations", association),
  "metadefs/object": object,
  "metadefs/objects": collection("objects", object),
  "metadefs/property": property,
  "metadefs/properties": {
    ...collection("properties", property),
    properties: { properties: { type: "object", additionalProperties: property } },
  },
  "metadefs/tag": tag,
  "metadefs/tags": collection("tags", tag),
}

/** Itself told by one. */
const told = {
  answer: shape("JsonSchema", {
    ...{ name: text, properties: anyObject },
    ...{ additionalProperties: rare(anyObject), required: rare(texts), links: rare(links) },
  }),
}

export const schemaRoutes: Route[] = Object.entries(schemas).map(([name, schema]) =>
  route({
    method: "GET",
    path: `/schemas/${name}`,
    policy: "authenticated",
    told,
    handler: async () => schema,
  }),
)
