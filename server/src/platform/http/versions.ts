// Schemas of bodies by microversion, and the one type that a handler reads whichever version it was.
import type { Static, TSchema } from "typebox"
import { compareMicroversions, type Microversion, parseMicroversion } from "./microversion.ts"

/** Each holds from its version on, up to the next. */
export class Versions<S extends TSchema = TSchema> {
  readonly list: readonly { from: Microversion; schema: S }[]

  constructor(byVersion: Readonly<Record<string, S>>) {
    this.list = Object.entries(byVersion).map(([text, schema]) => {
      const from = parseMicroversion(text)
      if (!from) throw new Error(`${text} is no microversion`)
      return { from, schema }
    })
  }
}

/** `versions({ "2.1": schema, "2.19": schemaWithDescription })` */
export function versions<S extends TSchema>(byVersion: Readonly<Record<string, S>>): Versions<S> {
  return new Versions(byVersion)
}

/** Not a list of schemas: the library's `TSchema` is any object, so the compiler would let one pass. */
export type BodySchema =
  | (TSchema & { readonly length?: never })
  | Readonly<Record<string, unknown>>
  | Versions

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
  return found?.schema
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
