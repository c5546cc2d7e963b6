// What documents say of queries, bodies and answers of this API that its handlers read and make themselves.
import type { TProperties } from "typebox"
import { all, flag, nothing, one } from "../../api/openstack/shape.ts"
import type { JsonSchema } from "../../platform/http/wire.ts"
import { filterSchemas, many, pageQuery, querySchema, sortNames } from "../../platform/noun/query-schema.ts"
import { mapOf } from "../../platform/schema/make.ts"
import { imageNoun, taskNoun } from "../index.ts"
import { imageProperties, memberProperties, taskProperties } from "./image-schema.ts"
import {
  associationProperties,
  namespaceProperties,
  objectProperties,
  propertyProperties,
  tagProperties,
} from "./metadef-schema.ts"

const text: JsonSchema = { type: "string" }
const directions = { type: "string", enum: ["asc", "desc"] }

function shown(title: string, properties: TProperties, extra: JsonSchema = {}): JsonSchema {
  return { title, type: "object", properties, ...extra }
}

/** With the addresses of this page and the next. */
function page(name: string, item: JsonSchema): JsonSchema {
  const properties = { [name]: many(item), first: text, next: text, schema: text }
  return { title: `${String(item.title)}Page`, type: "object", properties, required: [name] }
}

const image = shown("Image", imageProperties, { additionalProperties: text })
const member = shown("Member", memberProperties)
const task = shown("Task", taskProperties)
/** Of an image: rows as they are. */
const { self: _, schema: _path, ...rowProperties } = taskProperties
const taskRow = shown("TaskRow", { ...rowProperties, deleted: flag, deleted_at: nothing })
const namespace = shown("Namespace", namespaceProperties)
const object = shown("MetadefObject", objectProperties)
const property = shown("MetadefProperty", propertyProperties)
const tag = shown("MetadefTag", tagProperties)
const association = shown("ResourceTypeAssociation", associationProperties)
const { created_at, updated_at } = associationProperties
const resourceType = shown("ResourceType", { name: text, created_at, updated_at })

/** One of JSON Patch's operations; its other ones are not taken. */
const change = {
  title: "ImageChange",
  type: "object",
  properties: { op: { type: "string", enum: ["add", "remove", "replace"] }, path: text, value: {} },
  required: ["op", "path"],
}

const imageQuery = querySchema({
  ...filterSchemas(imageNoun.fields),
  tag: many(text),
  member_status: { type: "string", enum: ["pending", "accepted", "rejected", "all"] },
  ...pageQuery,
  sort: { ...text, description: "`name:asc,size`; instead of sort_key and sort_dir." },
  sort_key: many({ type: "string", enum: sortNames(imageNoun.fields) }),
  sort_dir: many(directions),
})

const taskQuery = querySchema({
  status: text,
  type: text,
  ...pageQuery,
  sort_key: { type: "string", enum: sortNames(taskNoun.fields) },
  sort_dir: directions,
})

const namespaceQuery = querySchema({
  visibility: { type: "string", enum: ["public", "private"] },
  resource_types: { ...text, description: "Names apart by commas." },
  ...pageQuery,
  sort_key: text,
  sort_dir: directions,
})

const oneText = (name: string) => ({ type: "object", properties: { [name]: text }, required: [name] })

export const told = {
  image: { answer: image },
  images: { query: imageQuery, answer: page("images", image) },
  imageChange: {
    body: many(change),
    mediaType: "application/openstack-images-v2.1-json-patch",
    answer: image,
  },
  newMember: { body: oneText("member"), answer: member },
  member: { answer: member },
  memberChange: { body: oneText("status"), answer: member },
  members: { answer: { type: "object", properties: { members: many(member), schema: text } } },
  task: { answer: task },
  tasks: { query: taskQuery, answer: page("tasks", task) },
  namespace: { answer: namespace },
  namespaceOfType: { query: querySchema({ resource_type: text }), answer: namespace },
  tasksOfImage: all("tasks", taskRow),
  object: { answer: object },
  objects: { answer: page("objects", object) },
  property: { answer: property },
  properties: one("properties", mapOf(property)),
  tag: { answer: tag },
  tags: { answer: page("tags", tag) },
  newTags: all("tags", tag),
  association: { answer: association },
  associations: all("resource_type_associations", association),
  resourceTypes: all("resource_types", resourceType),
  namespaces: { query: namespaceQuery, answer: page("namespaces", namespace) },
}
