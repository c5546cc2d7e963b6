// That what routes tell is looked at: one that lies is noted, one that does not is not.
import assert from "node:assert/strict"
import { test } from "node:test"
import { Type } from "typebox"
import { gone, versionedObject, versions } from "../src/platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../src/platform/http/wire.ts"
import { forgetOperationNotes, operationNotes } from "../src/platform/operation/notes.ts"
import { tellTruth } from "./witness.ts"

const handler = async () => undefined
const text = Type.String()
const boat = versionedObject({
  name: text,
  sails: Type.Optional(Type.Integer()),
  oars: versions({ "": text, "1.3": gone }),
  motor: versions({ "1.2": Type.Object({ power: Type.Integer() }) }),
})
const boats = route({
  method: "GET",
  path: "/boats",
  policy: "authenticated",
  told: { query: { properties: { name: text } }, answer: boat },
  handler,
})

const asked = (minor: number, more: object = {}) => ({
  ...({ method: "GET", query: {}, body: undefined } as WireRequest), // only what is looked at
  version: { major: 1, minor },
  ...more,
})

function notesOf(look: () => void): string[] {
  forgetOperationNotes()
  look()
  const found = operationNotes().map(({ kind, operation, what }) => `${kind} ${operation} ${what}`)
  forgetOperationNotes()
  return found
}

const answers = (minor: number, body: unknown, of: Route = boats, more: object = {}) =>
  notesOf(() => tellTruth.answered(of, asked(minor, more), body))

test("an answer is what its microversion has, no less and no more", () => {
  assert.deepEqual(answers(0, { name: "a", oars: "two" }), [])
  assert.deepEqual(answers(3, { name: "a", sails: 2, motor: { power: 5 } }), [])
  const lie = "untold_answer GET /boats at"
  assert.deepEqual(answers(0, { oars: "two" }), [`${lie} 1.0 : 'name' is a required property`])
  assert.deepEqual(answers(3, { name: "a", oars: "two", motor: { power: 5 } }), [
    `${lie} 1.3 : Additional properties are not allowed ('oars' was unexpected)`,
  ])
  assert.deepEqual(answers(3, { name: "a", motor: { power: 5, noise: 1 } }), [
    `${lie} 1.3 motor: Additional properties are not allowed ('noise' was unexpected)`,
  ])
  assert.deepEqual(answers(0, undefined), [`${lie} 1.0 it has no body`])
})

test("what is undefined is not sent, and what is a date is sent as a text", () => {
  assert.deepEqual(answers(0, { name: new Date(0), oars: "two", motor: undefined }), [])
})

test("an action tells of itself whether it answers", () => {
  const action = route({
    method: "POST",
    path: "/action",
    policy: "authenticated",
    actionBodies: {
      sail: { schema: {} },
      moor: { schema: {}, told: versions({ "1.2": Type.Object({ place: text }) }) },
    },
    handler,
  })
  const say = (minor: number, key: string, body: unknown) =>
    answers(minor, body, action, { body: { [key]: null } })
  assert.deepEqual(say(0, "sail", undefined), [])
  assert.deepEqual(say(1, "moor", undefined), [])
  assert.deepEqual(say(2, "moor", { place: "here" }), [])
  assert.deepEqual(say(1, "moor", { place: "here" }), [
    "untold_answer POST /action moor at 1.1 it has a body",
  ])
})

test("a route that tells nothing answers nothing, or a text", () => {
  const silent = route({ method: "GET", path: "/sea", policy: "authenticated", handler })
  assert.deepEqual(answers(0, undefined, silent), [])
  assert.deepEqual(answers(0, "calm", silent), [])
  assert.deepEqual(answers(0, { waves: 0 }, silent), ["untold_answer GET /sea at 1.0 it has a body"])
})

test("a parameter that is asked for by name is told", () => {
  const reads = (read: (query: WireRequest["query"]) => unknown, query: object) =>
    notesOf(() => read(tellTruth.asked(boats, asked(0, { query })).query))
  assert.deepEqual(
    reads((query) => query.name, {}),
    [],
  )
  assert.deepEqual(
    reads((query) => query.size, {}),
    ["untold_query GET /boats size"],
  )
  assert.deepEqual(
    reads((query) => "size" in query || Object.hasOwn(query, "size"), {}),
    ["untold_query GET /boats size"],
  )
  assert.deepEqual(
    reads((query) => [{ ...query }, Object.entries(query)], { size: "1" }),
    [],
  )
})
