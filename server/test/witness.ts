// Whether routes tell the truth: handlers read no parameter that the route does not tell, and what they answer fits
// what it tells. Only what tests ask is seen.
import type { TSchema } from "typebox"
import { schemaFor } from "../src/platform/http/versions.ts"
import type { Route, WireRequest } from "../src/platform/http/wire.ts"
import type { Witness } from "../src/platform/http/witness.ts"
import { noteUntold } from "../src/platform/operation/notes.ts"
import { fits } from "../src/platform/schema/compiled.ts"
import { findMistake } from "../src/platform/schema/mistake.ts"
import { wordsOf } from "../src/platform/schema/words.ts"

export const tellTruth: Witness = {
  asked: (route, request) => ({ ...request, query: watched(route, request.query) }),
  answered: (route, request, body) => {
    if (request.method === "HEAD") return
    const told = toldAnswer(route, request)
    if (!told && (typeof body === "string" || Buffer.isBuffer(body))) return
    const what = mistakeIn(told, asSent(body))
    if (what !== undefined) noteUntold("untold_answer", nameOf(route, request), what)
  },
}

/** A text is JSON already. */
function asSent(body: unknown): unknown {
  return body === undefined ? body : JSON.parse(typeof body === "string" ? body : JSON.stringify(body))
}

function nameOf(route: Route, { body, version }: WireRequest): string {
  const action = route.actionBodies ? ` ${Object.keys(body ?? {}).join()}` : ""
  return `${route.asking.name}${action} at ${version.major}.${version.minor}`
}

/** What the answer of this request is to fit; undefined: there is none. */
function toldAnswer({ told, actionBodies }: Route, { body, version }: WireRequest): TSchema | undefined {
  const named = Object.keys(body ?? {}).find((key) => actionBodies?.[key])
  const answer = named === undefined ? told?.answer : actionBodies?.[named]?.told
  return answer && schemaFor(answer, version)
}

function mistakeIn(told: TSchema | undefined, body: unknown): string | undefined {
  if (told === undefined || body === undefined)
    return told === body ? undefined : told ? "it has no body" : "it has a body"
  const schema = strict(told)
  if (fits(schema, body)) return undefined
  const mistake = findMistake(schema, body)
  // Members by number and by id are all alike.
  const path = mistake?.path.map((name) => (/^\d+$|^[0-9a-f-]{32,36}$/.test(name) ? "*" : name))
  return mistake ? `${path?.join(".")}: ${wordsOf(mistake)}` : "it does not fit"
}

const stricts = new WeakMap<object, TSchema>()

/** Members that a schema does not name are mistakes, unless it says otherwise. */
function strict(schema: TSchema): TSchema {
  const known = stricts.get(schema)
  if (known) return known
  const made = strictPart(JSON.parse(JSON.stringify(schema))) as TSchema
  stricts.set(schema, made)
  return made
}

function strictPart(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(strictPart)
  if (typeof part !== "object" || part === null) return part
  const all = Object.fromEntries(Object.entries(part).map(([key, value]) => [key, strictPart(value)]))
  const isOpen = !("type" in part) || !("properties" in part) || "patternProperties" in part
  return isOpen ? all : { additionalProperties: false, ...all }
}

/**
 * A handler that asks by name for what the request does not have means a parameter of its own: who goes through what is
 * there (to refuse strange names) asks for nothing else.
 */
function watched<Q extends WireRequest["query"]>(route: Route, query: Q): Q {
  const schema: object = route.told?.query ?? route.query ?? {}
  const properties: object = Reflect.get(schema, "properties") ?? {}
  const note = (name: string | symbol) => {
    if (typeof name !== "string" || Object.hasOwn(query, name) || Object.hasOwn(properties, name)) return
    if (!Object.hasOwn(Object.prototype, name) && name !== "toJSON")
      noteUntold("untold_query", route.asking.name, name)
  }
  return new Proxy(query, {
    get: (target, name) => {
      note(name)
      return Reflect.get(target, name)
    },
    getOwnPropertyDescriptor: (target, name) => {
      note(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    has: (target, name) => {
      note(name)
      return Reflect.has(target, name)
    },
  })
}
