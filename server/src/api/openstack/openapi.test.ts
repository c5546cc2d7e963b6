import assert from "node:assert/strict"
import { test } from "node:test"
import { Type } from "typebox"
import { fault } from "../../platform/fault/fault.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Api, route } from "../../platform/http/wire.ts"
import { operation } from "../../platform/operation/operation.ts"
import { openApiDocuments } from "./openapi.ts"

type Json = Record<string, unknown>

const text = { type: "string", minLength: 1, maxLength: 255 }
/** Long enough to be shared. */
const place = {
  type: "object",
  properties: { host: text, zone: { ...text, maxLength: 60 } },
  required: ["host"],
}
const bodyOf = (properties: Json) => ({ type: "object", properties, additionalProperties: false })
const handler = async () => undefined

const sails = { title: "Sails", ...bodyOf({ count: { type: "integer" } }) }
const sailsTorn = fault("conflict", "boat.sails.torn", () => "The sails are torn.")
const setSails = operation({
  name: "boat.sails.set",
  input: Type.Unknown(),
  faults: [sailsTorn],
  rules: "authenticated",
  run: async () => undefined,
})

const api: Api = {
  service: "boat",
  mounts: ["/boat"],
  version: "/v1",
  microversions: { serviceType: "boat", min: "1.1", max: "1.9" },
  renderFault: ({ kind }) => ({ status: { invalid: 400, conflict: 409 }[String(kind)] ?? 401, body: {} }),
  rootRoutes: [route({ method: "GET", path: "/", policy: "public", handler })],
  routes: [
    route({
      method: "POST",
      path: "/boats",
      policy: "authenticated",
      status: 202,
      body: versions({
        "1.1": bodyOf({ name: text, at: place }),
        "1.4": bodyOf({ at: place }),
      }),
      handler,
    }),
    route({
      method: "POST",
      path: "/boats/{boat_id}/action",
      policy: "authenticated",
      actions: ["sail", "sink"],
      actionBodies: {
        sail: {
          schema: bodyOf({ sail: { type: "null" } }),
          told: versions({ "1.2": bodyOf({ speed: text }) }),
          max: "1.3",
        },
        sink: { schema: bodyOf({ sink: place }) },
      },
      handler,
    }),
    route({
      method: "GET",
      path: "/boats/{boat_id}",
      policy: "authenticated",
      min: "1.2",
      query: { type: "object", properties: { fields: text }, additionalProperties: false },
      told: { answer: versions({ "1.1": bodyOf({ name: text }), "1.4": bodyOf({ at: place }) }) },
      handler,
    }),
    route({
      method: "PUT",
      path: "/boats/{boat_id}/sails",
      operation: setSails,
      told: { body: sails, query: { properties: { at: text }, required: ["at"] }, answer: sails },
      handler,
    }),
    route({
      method: "HEAD",
      path: "/boats/{boat_id}/sails",
      operation: setSails,
      status: [200, 204],
      told: { answer: sails },
      handler,
    }),
    route({ method: "DELETE", path: "/sails", operation: setSails, handler }),
    route({ method: "GET", path: "/late", policy: "authenticated", min: "2.0", handler }),
  ],
}

const document = openApiDocuments([api]).boat as Json
const paths = document.paths as Record<string, Record<string, Json>>
const schemas = (document.components as Json).schemas as Json

function schemaOf(path: string): unknown {
  const body = paths[path]?.post?.requestBody as { content: { "application/json": { schema: unknown } } }
  return body.content["application/json"].schema
}

test("a body of several microversions is one of several, each with its range", () => {
  assert.deepEqual(schemaOf("/v1/boats"), {
    oneOf: [
      {
        $ref: "#/components/schemas/BoatsPost_1.1",
        "x-openstack": { "min-ver": "1.1", "max-ver": "1.3" },
      },
      {
        $ref: "#/components/schemas/BoatsPost_1.4",
        "x-openstack": { "min-ver": "1.4", "max-ver": "1.9" },
      },
    ],
    "x-openstack": { discriminator: "microversion" },
  })
})

test("actions are told by name, with the microversions that they have", () => {
  assert.deepEqual(schemaOf("/v1/boats/{boat_id}/action"), {
    oneOf: [
      {
        $ref: "#/components/schemas/BoatsBoatIdActionPost_sail",
        "x-openstack": { "max-ver": "1.3", "action-name": "sail" },
      },
      {
        $ref: "#/components/schemas/BoatsBoatIdActionPost_sink",
        "x-openstack": { "action-name": "sink" },
      },
    ],
    "x-openstack": { discriminator: "action" },
  })
})

test("an action tells what it answers, and from when on", () => {
  const responses = paths["/v1/boats/{boat_id}/action"]?.post?.responses as Record<string, Json>
  const schema = {
    $ref: "#/components/schemas/BoatsBoatIdActionPostAnswer_sail",
    "x-openstack": { "min-ver": "1.2", "max-ver": "1.3", "action-name": "sail" },
  }
  assert.deepEqual(responses[201], { description: "Created", content: { "application/json": { schema } } })
})

test("what several bodies have is a component", () => {
  assert.deepEqual(schemas["BoatsPost_1.4"], bodyOf({ at: { $ref: "#/components/schemas/at" } }))
  assert.deepEqual(schemas.at, place)
})

test("a route says its microversions, its query and its errors; one that is never served is left out", () => {
  assert.deepEqual(paths["/v1/boats/{boat_id}"]?.get, {
    operationId: "boats/boat_id:get",
    tags: ["api"],
    parameters: [{ in: "query", name: "fields", schema: text }],
    responses: {
      200: {
        description: "OK",
        content: {
          "application/json": {
            schema: {
              oneOf: [
                {
                  $ref: "#/components/schemas/BoatsBoatIdGetAnswer_1.2",
                  "x-openstack": { "min-ver": "1.2", "max-ver": "1.3" },
                },
                {
                  $ref: "#/components/schemas/BoatsBoatIdGetAnswer_1.4",
                  "x-openstack": { "min-ver": "1.4", "max-ver": "1.9" },
                },
              ],
              "x-openstack": { discriminator: "microversion" },
            },
          },
        },
      },
      400: { $ref: "#/components/responses/BadRequest" },
      401: { $ref: "#/components/responses/Unauthorized" },
    },
    "x-openstack": { "min-ver": "1.2" },
  })
  assert.equal(paths["/v1/late"], undefined)
})

test("what is public asks for no token", () => {
  assert.deepEqual(document.security, [{ token: [] }])
  assert.deepEqual(paths["/"]?.get?.security, [])
})

test("a second API of a service has its version in the name", () => {
  const names = Object.keys(openApiDocuments([api, { ...api, version: "/v1.0" }]))
  assert.deepEqual(names, ["boat", "boat-v1.0"])
})

test("what the handler reads and gives itself is told", () => {
  const schema = { $ref: "#/components/schemas/Sails" }
  const content = { "application/json": { schema } }
  assert.deepEqual(paths["/v1/boats/{boat_id}/sails"]?.put, {
    operationId: "boat.sails.set",
    summary: "sails: set",
    tags: ["sails"],
    parameters: [{ in: "query", name: "at", required: true, schema: text }],
    requestBody: { required: true, content },
    responses: {
      200: { description: "OK", content },
      400: { $ref: "#/components/responses/BadRequest" },
      401: { $ref: "#/components/responses/Unauthorized" },
      409: { $ref: "#/components/responses/Conflict", description: "boat.sails.torn" },
    },
  })
  assert.deepEqual(schemas.Sails, sails)
})

test("the success statuses are the route's, or its method's", () => {
  const statuses = (path: string, method: string) =>
    Object.keys(paths[path]?.[method]?.responses ?? {}).filter((status) => status < "300")
  assert.deepEqual(statuses("/v1/boats/{boat_id}/sails", "head"), ["200", "204"])
  assert.deepEqual(statuses("/v1/sails", "delete"), ["204"])
})

test("an operation has its dotted name once, and with path or method where it is asked again", () => {
  assert.equal(paths["/v1/boats/{boat_id}/sails"]?.head?.operationId, "boat.sails.set:head")
  assert.equal(paths["/v1/sails"]?.delete?.operationId, "boat.sails.set:sails")
  assert.equal(paths["/v1/boats/{boat_id}"]?.get?.operationId, "boats/boat_id:get")
})

test("parameters of several places are components", () => {
  const { parameters } = document.components as { parameters: Json }
  assert.deepEqual(Object.keys(parameters), ["OpenStack-API-Version", "boat_id"])
  assert.deepEqual(parameters.boat_id, {
    in: "path",
    name: "boat_id",
    required: true,
    description: "Id of the boat.",
    schema: { type: "string" },
  })
})
