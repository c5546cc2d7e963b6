// What a noun's attributes are on the wire: how they are read from a body, filtered, sorted and shown. The service
// knows them by the same name in camelCase (`router:external` is `routerExternal`).
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { cutValue } from "../../platform/schema/words.ts"
import type { Kind } from "./kinds.ts"

export interface Attribute {
  kind: Kind
  /** Name in the service; default is the name in camelCase. */
  key?: string
  post?: true
  put?: true
  /** POST must have it. */
  required?: true
  /** Not shown: only for bodies and filters. */
  hidden?: true
  filter?: true
  sort?: true
  /** How it is shown; default is the value as it is. */
  // biome-ignore lint/suspicious/noExplicitAny: each resource knows the type of its own things
  view?: (thing: any, ctx: Ctx) => unknown
}

export type Attributes = Readonly<Record<string, Attribute>>

/** Neutron's plain refusals are named after their status. */
export function badRequest(message: string, type = "HTTPBadRequest"): Fault {
  return new Fault("invalid", "network.wire.bad_request", message, { detail: { type } })
}

const camelNames = new Map<string, string>()

export function camelCase(name: string): string {
  let camel = camelNames.get(name)
  if (camel === undefined) {
    camel = name.replaceAll(/[:_](\w)/g, (_all, letter: string) => letter.toUpperCase())
    camelNames.set(name, camel)
  }
  return camel
}

export function keyOf(name: string, attribute: Attribute): string {
  return attribute.key ?? camelCase(name)
}

type Body = Record<string, unknown>

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** The things of a POST body: one under the singular, or several under the plural. */
export function readCreate(
  body: unknown,
  name: { singular: string; plural: string; takesMany: boolean },
  attributes: Attributes,
): { inputs: Body[]; isMany: boolean } {
  if (!isObject(body) || Object.keys(body).length === 0) throw badRequest("Resource body required")
  if (Object.hasOwn(body, name.plural) && name.plural !== name.singular) {
    const items = body[name.plural]
    if (!name.takesMany) throw badRequest("Bulk operation not supported")
    if (!Array.isArray(items)) throw badRequest("Body contains invalid data")
    if (items.length === 0) throw badRequest("Resources required")
    const inputs = items.map((item: unknown) => {
      const inner = isObject(item) && isObject(item[name.singular]) ? item[name.singular] : item
      return readThing(inner, name.singular, attributes, "post")
    })
    return { inputs, isMany: true }
  }
  return {
    inputs: [readThing(thingOf(body, name.singular), name.singular, attributes, "post")],
    isMany: false,
  }
}

export function readUpdate(body: unknown, singular: string, attributes: Attributes): Body {
  if (!isObject(body) || Object.keys(body).length === 0) throw badRequest("Resource body required")
  return readThing(thingOf(body, singular), singular, attributes, "put")
}

function thingOf(body: Body, singular: string): unknown {
  const thing = body[singular]
  if (thing === undefined || thing === null) throw badRequest(`Unable to find '${singular}' in request body`)
  return thing
}

function readThing(value: unknown, singular: string, attributes: Attributes, how: "post" | "put"): Body {
  if (!isObject(value)) throw badRequest(`Object '${singular}' contains invalid data`)
  const given = withProject(value)
  const unknown = Object.keys(given).filter(
    (name) => name !== "project_id" && !Object.hasOwn(attributes, name),
  )
  if (unknown.length > 0) throw badRequest(`Unrecognized attribute(s) '${cutValue(unknown.join(", "))}'`)
  const input: Body = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (!Object.hasOwn(given, name)) {
      if (how === "post" && attribute.required)
        throw badRequest(`Failed to parse request. Required attribute '${name}' not specified`)
      continue
    }
    if (!attribute[how]) {
      throw badRequest(
        how === "post"
          ? `Attribute '${name}' not allowed in POST`
          : `Cannot update read-only attribute ${name}`,
      )
    }
    const read = attribute.kind.read(given[name], name)
    if (read !== undefined) input[keyOf(name, attribute)] = read
  }
  return input
}

/** Both names of the owner mean the same; the service knows one. */
function withProject(value: Body): Body {
  const { project_id, tenant_id } = value
  if (project_id !== undefined && tenant_id !== undefined && project_id !== tenant_id)
    throw badRequest("'project_id' and 'tenant_id' do not match")
  if (project_id === undefined) return value
  return { ...value, tenant_id: project_id }
}

export function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/** Attributes that every noun has. */
export function standardAttributes(
  kinds: { uuid: Kind; text: Kind; integer: Kind; time: Kind; tags: Kind },
  has: { tags?: boolean; description?: Kind } = {},
): Attributes {
  return {
    id: { kind: kinds.uuid, filter: true, sort: true },
    tenant_id: { kind: kinds.text, key: "projectId", post: true, filter: true, sort: true },
    revision_number: { kind: kinds.integer, filter: true, sort: true },
    created_at: {
      kind: kinds.time,
      sort: true,
      view: (thing: { createdAt: Date }) => timeText(thing.createdAt),
    },
    updated_at: {
      kind: kinds.time,
      sort: true,
      view: (thing: { updatedAt: Date }) => timeText(thing.updatedAt),
    },
    ...(has.description
      ? { description: { kind: has.description, post: true, put: true, filter: true, sort: true } as const }
      : {}),
    ...(has.tags === false ? {} : { tags: { kind: kinds.tags, post: true } as const }),
  }
}

/** The thing as the wire shows it; attributes that the caller may not see are left out. */
export function viewThing(
  ctx: Ctx,
  thing: object,
  attributes: Attributes,
  hidden: ReadonlySet<string> | undefined,
  fields: ReadonlySet<string> | undefined,
): Body {
  const shown: Body = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.hidden) continue
    const key = keyOf(name, attribute)
    if (hidden?.has(key)) continue
    const value = attribute.view ? attribute.view(thing, ctx) : Reflect.get(thing, key)
    if (name === "tenant_id") {
      if (!fields || fields.has("project_id")) shown.project_id = value
    }
    if (!fields || fields.has(name)) shown[name] = value
  }
  return shown
}
