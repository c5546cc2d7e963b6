// What a noun's attributes are on the wire: how they are read from a body, filtered, sorted and shown. The noun says
// which there are; a wire's file says what is different in Neutron's JSON.
import type { TSchema } from "typebox"
import { secondsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { JsonSchema } from "../../platform/http/wire.ts"
import { type Field, type Fields, publicName, type ThingOf } from "../../platform/noun/field.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import { cutValue } from "../../platform/schema/words.ts"
import { badRequest } from "./bad-request.ts"
import type { Kind } from "./kinds.ts"
import * as kinds from "./kinds.ts"

export interface Attribute<T> {
  kind: Kind
  /** Name in the service. */
  key: string
  post?: boolean
  put?: boolean
  /** POST must have it. */
  required?: boolean
  /** Not shown: only for bodies and filters. */
  hidden?: boolean
  /** The key that its filter has in the service. */
  filter?: string | undefined
  sort?: boolean
  /** How it is shown; default is the value as it is. */
  view?: (thing: T, ctx: Ctx) => unknown
  /** What is shown, for documents. Default: the noun's; of what has a `view`, what clients send. */
  shows?: JsonSchema
}

export type Attributes<T> = Readonly<Record<string, Attribute<T>>>

/** What the wire says otherwise than the noun, by name; and what it shows besides. */
export type Particulars<T> = Readonly<Record<string, Partial<Attribute<T>>>>

export function attributesOf<F extends Fields>(
  noun: Pick<Noun<F>, "fields">,
  particulars: Particulars<ThingOf<F>> = {},
): Attributes<ThingOf<F>> {
  const attributes: Record<string, Attribute<ThingOf<F>>> = {}
  for (const [key, field] of Object.entries(noun.fields)) {
    const { create, update, filter, sort, internal } = field.abilities
    const name = publicName(key, field)
    const known = attributes[name]
    // A filter that goes by the name of what is shown.
    if (known && filter) known.filter = key
    else if (field.isShown || create || update || (filter && field.abilities.name)) {
      attributes[name] = {
        kind: kindOf(field),
        key,
        post: create !== undefined,
        put: update !== undefined,
        required: create === "required",
        hidden: internal === true || !field.isShown,
        filter: filter ? key : undefined,
        sort: sort === true,
        shows: { ...field.schema },
      }
    }
  }
  for (const [name, particular] of Object.entries(particulars)) {
    const made = attributes[name] ?? { kind: kinds.shown, key: name }
    const shows = particular.view ? (particular.kind ?? made.kind).schema : made.shows
    attributes[name] = { ...made, ...(shows ? { shows } : {}), ...particular }
  }
  return attributes
}

/** How Neutron reads values of such a field. */
function kindOf({ kind, schema, abilities: { input, create, update } }: Field): Kind {
  const [plain, isNullable] = withoutNull(input ?? schema)
  const read = plainKind(kind, plain)
  return isNullable && (create || update) ? kinds.orNull(read) : read
}

function withoutNull(schema: TSchema): [schema: TSchema, isNullable: boolean] {
  const { anyOf } = schema as { anyOf?: readonly (TSchema & { type?: string })[] }
  const rest = anyOf?.filter(({ type }) => type !== "null")
  if (!anyOf || !rest || rest.length === anyOf.length) return [schema, false]
  const [only, ...more] = rest
  return [only && more.length === 0 ? only : ({ anyOf: rest } as TSchema), true]
}

/** The members of JSON Schema that fields have. */
interface Said {
  anyOf?: readonly { const?: string | number }[]
  enum?: readonly string[]
  maxLength?: number
  minimum?: number
  items?: Said
}

function plainKind(kind: Field["kind"], schema: TSchema): Kind {
  const said = schema as Said
  const words = said.enum ?? said.anyOf?.flatMap((each) => each.const ?? [])
  if (words && words.length > 0) return kind === "integer" ? kinds.numberAmong(words) : kinds.oneOf(words)
  switch (kind) {
    case "text":
      return kinds.text(said.maxLength)
    case "uuid":
      return kinds.uuid
    case "boolean":
      return kinds.boolean
    case "integer":
      return said.minimum === 0 ? kinds.nonNegative : kinds.integer
    case "address":
      return kinds.address
    case "cidr":
      return kinds.text()
    case "mac":
      return kinds.mac
    default:
      return said.items?.maxLength === undefined
        ? { ...kinds.shown, schema: { ...schema } }
        : kinds.listOf(kinds.text(said.items.maxLength))
  }
}

type Body = Record<string, unknown>

function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** The things of a POST body: one under the singular, or several under the plural. */
export function readCreate(
  body: unknown,
  name: { singular: string; plural: string; takesMany: boolean },
  attributes: Attributes<never>,
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

export function readUpdate(body: unknown, singular: string, attributes: Attributes<never>): Body {
  if (!isObject(body) || Object.keys(body).length === 0) throw badRequest("Resource body required")
  return readThing(thingOf(body, singular), singular, attributes, "put")
}

function thingOf(body: Body, singular: string): unknown {
  const thing = body[singular]
  if (thing === undefined || thing === null) throw badRequest(`Unable to find '${singular}' in request body`)
  return thing
}

function readThing(
  value: unknown,
  singular: string,
  attributes: Attributes<never>,
  how: "post" | "put",
): Body {
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
    if (read !== undefined) input[attribute.key] = read
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

function shownValue(value: unknown): unknown {
  return value instanceof Date ? secondsText(value) : value
}

/** The thing as the wire shows it; attributes that the caller may not see are left out. */
export function viewThing<T extends object>(
  ctx: Ctx,
  thing: T,
  attributes: Attributes<T>,
  hidden: ReadonlySet<string> | undefined,
  fields: ReadonlySet<string> | undefined,
): Body {
  const shown: Body = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.hidden) continue
    const { key } = attribute
    if (hidden?.has(key)) continue
    const value = attribute.view ? attribute.view(thing, ctx) : shownValue(Reflect.get(thing, key))
    if (name === "tenant_id") {
      if (!fields || fields.has("project_id")) shown.project_id = value
    }
    if (!fields || fields.has(name)) shown[name] = value
  }
  return shown
}
