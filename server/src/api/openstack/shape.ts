// What answers are made of, where views are functions: beside them it is said which members they have, and from which
// microversion on.
import { type TSchema, Type } from "typebox"
import { gone, Versions, versionedObject, versions } from "../../platform/http/versions.ts"
import { mapOf, typed } from "../../platform/schema/make.ts"

export type Shape = TSchema | Versions
export type Members = Readonly<Record<string, Shape>>

export const text = Type.String()
export const textOrNull = typed(["string", "null"])
export const flag = Type.Boolean()
export const count = Type.Integer()
export const countOrNull = typed(["integer", "null"])
export const amount = Type.Number()
export const nothing = Type.Null()
export const texts = Type.Array(text)
export const textMap = mapOf(text)
const link = Type.Object({ rel: text, href: text, type: Type.Optional(text) }, { title: "Link" })
export const links = Type.Array(link)
export const noMembers = Type.Object({}, { maxProperties: 0 })

/** From that version on. */
export function from(version: string, schema: TSchema): Versions {
  return versions({ [version]: schema })
}

/** Up to the version before that. */
export function until(version: string, schema: TSchema): Versions {
  return versions({ "": schema, [version]: gone })
}

/** A member for each name, all alike. */
export function each(names: string, of: Shape): Members {
  return Object.fromEntries(names.split(" ").map((name) => [name, of]))
}

function change(of: Shape, make: (schema: TSchema) => TSchema): Shape {
  return of instanceof Versions ? of.map(make) : make(of)
}

/** Not always there. */
export function rare(of: Shape): Shape {
  return change(of, (schema) => Type.Optional(schema))
}

export function many(of: Shape): Shape {
  return change(of, (schema) => Type.Array(schema))
}

/** Values of any names. */
export function mapFor(of: Shape): Shape {
  return change(of, mapOf)
}

/** The title is the name of its component in documents. */
export function shape(title: string, members: Members): Shape {
  return versionedObject(members, title)
}

/** `{"server": …}` */
export function one(name: string, of: Shape): { answer: Shape } {
  return { answer: versionedObject({ [name]: of }) }
}

export function all(name: string, of: Shape): { answer: Shape } {
  return one(name, many(of))
}

/** Of an API: which versions it has. */
export const versionList = all("versions", shape("Version", { ...each("id status", text), links }))

/** With the address of what follows. */
export function page(name: string, of: Shape, linksOf = name): { answer: Shape } {
  return { answer: versionedObject({ [name]: many(of), [`${linksOf}_links`]: rare(links) }) }
}
