// Schemas of bodies by microversion, and the one type that a handler reads whichever version it was.
import { type Static, type TSchema, Type } from "typebox"
import {
  compareMicroversions,
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "./microversion.ts"

/** Before any that there is. */
const lowest: Microversion = { major: 0, minor: 0 }

/** Each holds from its version on, up to the next. */
export class Versions<S extends TSchema = TSchema> {
  readonly list: readonly { from: Microversion; schema: S }[]

  constructor(byVersion: Readonly<Record<string, S>>) {
    this.list = Object.entries(byVersion).map(([text, schema]) => {
      const from = text === "" ? lowest : parseMicroversion(text)
      if (!from) throw new Error(`${text} is no microversion`)
      return { from, schema }
    })
  }

  map(change: (schema: S) => TSchema): Versions {
    return new Versions(
      Object.fromEntries(this.list.map(({ from, schema }) => [textOf(from), change(schema)])),
    )
  }
}

const textOf = (version: Microversion) => (version.major === 0 ? "" : formatMicroversion(version))

/** `versions({ "2.1": schema, "2.19": schemaWithDescription })`; under "" what holds before those that are named. */
export function versions<S extends TSchema>(byVersion: Readonly<Record<string, S>>): Versions<S> {
  return new Versions(byVersion)
}

/** Not a list of schemas: the library's `TSchema` is any object, so the compiler would let one pass. */
export type BodySchema =
  | (TSchema & { readonly length?: never })
  | Readonly<Record<string, unknown>>
  | Versions

/** Of a member, or a whole body, that a version takes away. */
export const gone: TSchema = Type.Never()

/**
 * An object of members that have versions of their own: a schema for each version that changes one of them. Members
 * are there unless they are `Type.Optional`. After the first the title has the version in it.
 */
export function versionedObject(
  members: Readonly<Record<string, TSchema | Versions>>,
  title?: string,
): TSchema | Versions {
  const changes = Object.values(members).flatMap((member) => (member instanceof Versions ? member.list : []))
  const made = (version: Microversion) => {
    const there = Object.entries(members).flatMap(([name, member]) => {
      const schema = schemaFor(member, version)
      return schema && schema !== gone ? [[name, schema]] : []
    })
    const ending = version.major === 0 ? "" : `_${textOf(version)}`
    const named = title === undefined ? {} : { title: `${title}${ending}` }
    return Type.Object(Object.fromEntries(there), named)
  }
  if (changes.length === 0) return made(lowest)
  const sorted = [lowest, ...changes.map(({ from }) => from)].sort(compareMicroversions)
  return versions(Object.fromEntries(sorted.map((version) => [textOf(version), made(version)])))
}

interface SchemaFrom {
  from?: Microversion
  schema: TSchema
}

/** All schemas of a body, each with the version that it holds from; one for all has none. */
export function schemasOf(body: BodySchema): readonly SchemaFrom[] {
  return body instanceof Versions ? body.list : [{ schema: body }]
}

export function schemaFor(body: BodySchema, version: Microversion): TSchema | undefined {
  const found = schemasOf(body).findLast(({ from }) => !from || compareMicroversions(version, from) >= 0)
  return found?.schema === gone ? undefined : found?.schema
}

/** What a body may be that fits; with versions, the body of any of them. */
export type BodyOf<B> = B extends Versions<infer S> ? Any<Static<S>> : B extends TSchema ? Static<B> : unknown

/** The alternatives in one: members that not all of them have may be absent. */
type Any<U> =
  | Exclude<U, object>
  | AnyList<Extract<U, readonly unknown[]>>
  | AnyObject<Exclude<Extract<U, object>, readonly unknown[]>>
type AnyList<U> = [U] extends [never] ? never : U extends readonly (infer E)[] ? Any<E>[] : never
type AnyObject<U> = [U] extends [never] ? never : Shown<AnyCommon<Pick<U, keyof U>> & AnyRare<U>>
type AnyCommon<P> = { [K in keyof P]: Any<Exclude<P[K], undefined>> }
type AnyRare<U> = { [K in Exclude<KeyOf<U>, keyof U>]?: Any<Exclude<MemberOf<U, K>, undefined>> }
type KeyOf<U> = U extends unknown ? keyof U : never
type MemberOf<U, K> = U extends unknown ? (K extends keyof U ? U[K] : never) : never
type Shown<T> = { [K in keyof T]: T[K] }
