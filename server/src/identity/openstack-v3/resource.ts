// The routes that most nouns of this API have, and how such a noun is read from a body and shown.
import { type TObject, type TObjectOptions, type TProperties, Type } from "typebox"
import { type Members, one as oneOf } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { gone } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  type ChangesOf,
  type CreateOf,
  type Field,
  type Fields,
  publicName,
  type ThingOf,
} from "../../platform/noun/field.ts"
import type { ListQuery } from "../../platform/noun/list.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import type { Viewer } from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, readBoolean, readList, requireSameId } from "./read.ts"
import { member } from "./schema.ts"
import { listQuery, pageOf, selfLink } from "./told.ts"
import { linkTo, pageReply } from "./view.ts"

type Show<T> = (ctx: Ctx, req: WireRequest, thing: T) => Record<string, unknown>

/** It says what it shows. */
export type View<T> = Show<T> & { shows: TObject }

/** Attributes that nobody knows are kept, and shown. */
const open = { additionalProperties: true }

/** What another view shows, and besides or otherwise. */
export function showsLike({ shows }: { shows: TObject }, title: string, more: Members): TObject {
  const options = "additionalProperties" in shows ? { ...open, title } : { title }
  return objectOf({ ...shows.properties, ...more }, options)
}

function objectOf(members: Members, options: TObjectOptions): TObject {
  const there = Object.entries(members).filter(([, schema]) => schema !== gone)
  return Type.Object(Object.fromEntries(there), options)
}

/**
 * Under its public names, with the attributes that nobody knows; `particulars` are what this API says otherwise, and
 * `says` is what they are.
 */
export function viewOf<F extends Fields>(
  { name: noun, fields }: Noun<F, Viewer>,
  pathOf: (thing: ThingOf<F>) => string,
  particulars: (thing: ThingOf<F>) => Record<string, unknown> = () => ({}),
  says: Members = {},
): View<ThingOf<F>> {
  const names = shownNames(fields)
  const show: Show<ThingOf<F>> = (ctx, req, thing) => {
    const values = thing as Readonly<Record<string, unknown>>
    const shown: Record<string, unknown> = { ...(values.extra ?? {}) }
    for (const [key, name] of names) shown[name] = values[key]
    return { ...shown, ...particulars(thing), links: linkTo(ctx, req, pathOf(thing)) }
  }
  const known = Object.fromEntries(names.map(([key, name]) => [name, fields[key]?.schema ?? {}]))
  const options = { title: titleOf(noun), ...(fields.extra ? open : {}) }
  return Object.assign(show, { shows: objectOf({ ...known, ...says, links: selfLink }, options) })
}

/** `identity.endpoint_group` → `EndpointGroup` */
function titleOf(noun: string): string {
  const name = noun.slice(noun.indexOf(".") + 1)
  return name.replaceAll(/(^|_)([a-z])/g, (_all, _before, letter: string) => letter.toUpperCase())
}

function shownNames(fields: Fields): [key: string, name: string][] {
  return Object.entries(fields)
    .filter(([key, { isShown, abilities }]) => isShown && !abilities.internal && key !== "extra")
    .map(([key, field]) => [key, publicName(key, field)])
}

/** With what another view shows besides. */
export function viewAlso<S, T extends S>(
  view: View<S>,
  title: string,
  says: Members,
  more: (thing: T) => Record<string, unknown>,
): View<T> {
  const show: Show<T> = (ctx, req, thing) => ({ ...view(ctx, req, thing), ...more(thing) })
  return Object.assign(show, { shows: showsLike(view, title, says) })
}

type Verb = "create" | "update"

/**
 * What a body gives of the noun's fields. Its schema has been looked at, and the operation's will be; attributes that
 * neither knows are kept as they are.
 */
function given(fields: Fields, body: object, verb: Verb, known: readonly string[]): Record<string, unknown> {
  const values = body as Readonly<Record<string, unknown>>
  const read: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(fields)) {
    const value = values[publicName(key, field)]
    if (field.abilities[verb] && key !== "extra" && value !== undefined) put(read, key, field, value)
  }
  return fields.extra?.abilities[verb] ? { ...read, extra: extraOf(body, known) } : read
}

function put(read: Record<string, unknown>, key: string, { kind }: Field, value: unknown): void {
  if (kind !== "boolean") read[key] = value
  // Null says nothing about a boolean.
  else if (value !== null) read[key] = readBoolean(value)
}

export interface ResourceDefinition<F extends Fields, T extends ThingOf<F> = ThingOf<F>> {
  noun: Noun<F, Viewer>
  /** `endpoint_group` */
  singular: string
  /** Default: the singular with an s. */
  plural?: string
  /** What stands before the plural in the path. */
  prefix?: string
  view: View<T>
  /** What is shown once, to who made it. */
  viewNew?: View<T>
  /** Of the body. */
  properties: TProperties
  required?: readonly string[]
  /** Of a creation only; of a change only. */
  created?: TProperties
  changed?: TProperties
  /** Attributes of bodies that are no fields of the noun and not to be kept. */
  known?: readonly string[]
  /** What a body means that says these things. */
  translate?: (body: object) => object
  /** Asked of a creation before its body is looked at. */
  admit?: (ctx: Ctx, req: WireRequest) => Promise<unknown>
  /** May change with an empty body. */
  isEmptyChange?: true
  /** Attributes that nobody knows are refused. */
  isClosed?: true
  list: Operation<ListQuery, Listed<T>>
  readList?: (query: WireRequest["query"]) => ListQuery
  get?: Operation<{ id: string }, T>
  create?: Operation<CreateOf<F>, T>
  update: Operation<{ id: string; changes: ChangesOf<F> }, T>
  remove: Operation<{ id: string }, unknown>
}

export interface Reader<F extends Fields> {
  create: (body: object) => CreateOf<F>
  changes: (body: object) => ChangesOf<F>
}

/** How bodies are read that name such a thing. */
export function readerOf<F extends Fields>({
  noun: { fields },
  known = [],
  translate = (body) => body,
}: Pick<ResourceDefinition<F>, "noun" | "known" | "translate">): Reader<F> {
  const written = Object.entries(fields).filter(([, { abilities }]) => !abilities.internal)
  const all = [...written.map(([key, field]) => publicName(key, field)), "id", "links", ...known]
  return {
    // What the types say is what the schemas of the wire and of the operation check.
    create: (body) => given(fields, translate(body), "create", all) as CreateOf<F>,
    changes: (body) => given(fields, translate(body), "update", all) as ChangesOf<F>,
  }
}

/** List, make, get, change and delete. */
export function resourceRoutes<F extends Fields, T extends ThingOf<F>>(
  resource: ResourceDefinition<F, T>,
): Route[] {
  const { noun, singular, view, viewNew = view, list, get, create, update, remove } = resource
  const plural = resource.plural ?? `${singular}s`
  const path = `${resource.prefix ?? ""}/${plural}`
  const one = `${path}/{${singular}_id}`
  const idOf = (req: WireRequest) => req.params[`${singular}_id`] ?? ""
  const reader = readerOf(resource)
  const { properties, required, created, changed } = resource
  const newBody = member(singular, { ...properties, ...created }, { required: [...(required ?? [])] })
  const changeBody = member(
    singular,
    { ...properties, ...changed },
    {
      ...(resource.isEmptyChange ? {} : { minProperties: 1 }),
      ...(resource.isClosed ? { isClosed: true } : {}),
    },
  )
  const read = resource.readList ?? ((query: WireRequest["query"]) => readList(query, noun))
  return [
    route({
      method: "GET",
      path,
      operation: list,
      told: { query: listQuery(noun), ...pageOf(plural, view.shows) },
      handler: async (ctx, req) => pageReply(ctx, req, plural, await list(ctx, read(req.query)), view),
    }),
    ...(create
      ? [
          route({
            method: "POST",
            path,
            operation: create,
            body: newBody,
            told: oneOf(singular, viewNew.shows),
            ...(resource.admit ? { admit: resource.admit } : {}),
            handler: async (ctx, req) => {
              const thing = await create(ctx, reader.create(bodyOf(req, singular)))
              return { [singular]: viewNew(ctx, req, thing) }
            },
          }),
        ]
      : []),
    ...(get
      ? [
          route({
            method: "GET",
            path: one,
            operation: get,
            told: oneOf(singular, view.shows),
            handler: async (ctx, req) => ({ [singular]: view(ctx, req, await get(ctx, { id: idOf(req) })) }),
          }),
        ]
      : []),
    route({
      method: "PATCH",
      path: one,
      operation: update,
      body: changeBody,
      told: oneOf(singular, view.shows),
      admit: admitToOne(update, singular),
      handler: async (ctx, req) => {
        const id = idOf(req)
        const body = bodyOf(req, singular)
        requireSameId(body, id)
        return { [singular]: view(ctx, req, await update(ctx, { id, changes: reader.changes(body) })) }
      },
    }),
    route({
      method: "DELETE",
      path: one,
      operation: remove,
      handler: (ctx, req) => remove(ctx, { id: idOf(req) }),
    }),
  ]
}

/** Some clients send JSON as an object. */
export function blobAsText(body: { blob?: unknown }): object {
  return typeof body.blob === "object" ? { ...body, blob: JSON.stringify(body.blob) } : body
}

/** The member that the schema asks for. */
function bodyOf(req: WireRequest, singular: string): object {
  return (req.body as Record<string, object>)[singular] ?? {}
}
