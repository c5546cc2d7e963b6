import assert from "node:assert/strict"
import { test } from "node:test"
import { internalCaller } from "../auth/caller.ts"
import { systemClock } from "../clock/clock.ts"
import type { Platform } from "../context/context.ts"
import { Fault } from "../fault/fault.ts"
import { silentLogger } from "../log/log.ts"
import { forgetOperationNotes, operationNotes } from "../operation/notes.ts"
import { PolicyEngine } from "../policy/policy.ts"
import { createHttpServer } from "./server.ts"
import { versions } from "./versions.ts"
import { type Api, reply, route, withHeaders } from "./wire.ts"
import { setWitness } from "./witness.ts"

const api: Api = {
  service: "sample",
  mounts: ["/sample"],
  version: "/v1",
  microversions: { serviceType: "sample", legacyHeader: "X-Sample-Version", min: "1.0", max: "1.5" },
  renderFault: (fault) => ({
    status:
      { "api.method.not_allowed": 405 }[fault.code] ??
      {
        invalid: 400,
        too_large: 413,
        unauthenticated: 401,
        forbidden: 403,
        not_found: 404,
        unsupported: 406,
      }[fault.kind as string] ??
      500,
    body: { error: fault.message, code: fault.code },
  }),
  routes: [
    route({
      method: "GET",
      path: "/things",
      policy: "authenticated",
      handler: async (_ctx, req) => ({ query: req.query }),
    }),
    route({
      method: "POST",
      path: "/things",
      policy: "authenticated",
      status: 201,
      body: versions({
        "1.0": {
          type: "object",
          properties: { name: { type: "string" } },
          required: ["name"],
          additionalProperties: false,
        },
        "1.3": {
          type: "object",
          properties: { name: { type: "string" }, size: { type: "integer" } },
          additionalProperties: false,
        },
      }),
      handler: async (_ctx, req) => req.body,
    }),
    route({
      method: "GET",
      path: "/new",
      policy: "authenticated",
      min: "1.4",
      handler: async () => ({ ok: true }),
    }),
    route({
      method: "GET",
      path: "/bug",
      policy: "authenticated",
      handler: async () => {
        throw new Error("secret detail")
      },
    }),
    route({
      method: "DELETE",
      path: "/things/{id}",
      policy: "authenticated",
      handler: async () => undefined,
    }),
    route({
      method: "PUT",
      path: "/things/{id}",
      policy: "authenticated",
      status: [200, 202],
      handler: async (_ctx, req) => {
        if (req.query.as === "body") return { ok: true }
        if (req.query.as === "headers") return withHeaders({ ok: true }, { location: "/things/1" })
        return reply(req.query.as === "other" ? 203 : 202)
      },
    }),
    route({
      method: "PUT",
      path: "/data",
      policy: "authenticated",
      rawBody: true,
      handler: async (_ctx, req) => {
        let size = 0
        for await (const chunk of req.stream) size += (chunk as Buffer).length
        return { size }
      },
    }),
  ],
}

const adminOnly: Api = {
  ...api,
  mounts: ["/strict"],
  checksPolicyBeforeBody: true,
  tellsStrangers: true,
  routes: api.routes.map((r) => ({ ...r, policy: ["thing:any", "thing:own"] })),
}

async function startServer(caller = internalCaller, limits: Partial<Platform["config"]["http"]> = {}) {
  const policy = new PolicyEngine()
  policy.declare([
    { name: "thing:any", check: "role:admin", description: "" },
    { name: "thing:own", check: "role:member and project_id:%(project_id)s", description: "" },
  ])
  const platform = {
    log: silentLogger,
    policy,
    clock: systemClock,
    config: {
      publicUrl: "http://127.0.0.1",
      host: "host1",
      http: {
        publicUrl: "",
        trustedProxies: [],
        headersDeadlineMs: 20_000,
        bodyDeadlineMs: 20_000,
        streamIdleMs: 20_000,
        bodyLingerMs: 20_000,
        jsonDepthMost: 10,
        jsonItemsMost: 50,
        ...limits,
      },
    },
  } as unknown as Platform
  const apis = [api, adminOnly]
  const server = createHttpServer({
    platform,
    apis,
    bodyLimitBytes: 2_000,
    authenticate: (headers) => {
      if (headers["x-auth-token"] === "good") return caller
      throw new Fault(
        "unauthenticated",
        "sample.unauthenticated",
        "The request you have made requires authentication.",
      )
    },
  })
  const url = await server.listen({ host: "127.0.0.1", port: 0 })
  const ask = async (
    method: string,
    path: string,
    options: { body?: string; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        "x-auth-token": "good",
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: options.body }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
  }
  return { url, ask, [Symbol.asyncDispose]: async () => await server.close() }
}

test("a request has an id, a version and its own errors", async () => {
  await using server = await startServer()
  const list = await server.ask("GET", "/sample/v1/things?a=1&a=2")
  assert.equal(list.status, 200)
  assert.deepEqual(list.body, { query: { a: ["1", "2"] } })
  assert.match(list.headers.get("x-openstack-request-id") ?? "", /^req-/)
  assert.equal(list.headers.get("openstack-api-version"), "sample 1.0")

  assert.equal(
    (await server.ask("GET", "/sample/v1/things", { headers: { "x-auth-token": "bad" } })).status,
    401,
  )
  assert.equal((await server.ask("GET", "/nowhere")).status, 404)
  const bug = await server.ask("GET", "/sample/v1/bug")
  assert.equal(bug.status, 500)
  assert.ok(!JSON.stringify(bug.body).includes("secret detail"))
  assert.equal((await server.ask("DELETE", "/sample/v1/things/1")).status, 204)
})

test("microversions choose the schema and the route", async () => {
  await using server = await startServer()
  const at = (version: string) => ({ headers: { "openstack-api-version": `sample ${version}` } })
  assert.equal((await server.ask("GET", "/sample/v1/new")).status, 404)
  assert.equal((await server.ask("GET", "/sample/v1/new", at("1.4"))).status, 200)
  assert.equal((await server.ask("GET", "/sample/v1/new", at("latest"))).status, 200)
  assert.equal((await server.ask("GET", "/sample/v1/new", at("1.9"))).status, 406)
  assert.equal((await server.ask("GET", "/sample/v1/new", at("x"))).status, 400)
  assert.equal(
    (await server.ask("GET", "/sample/v1/new", { headers: { "x-sample-version": "1.5" } })).status,
    200,
  )
  const body = JSON.stringify({ size: 4 })
  assert.equal((await server.ask("POST", "/sample/v1/things", { body })).status, 400)
  assert.equal((await server.ask("POST", "/sample/v1/things", { body, ...at("1.3") })).status, 201)
})

test("paths and methods that no route has, in the API's own shape", async () => {
  await using server = await startServer()
  const unknown = await server.ask("GET", "/sample/v1/nothing?a=1")
  assert.equal(unknown.status, 404)
  assert.equal(unknown.body.code, "api.path.unknown")
  assert.match(unknown.headers.get("x-openstack-request-id") ?? "", /^req-/)
  for (const [method, path, allow] of [
    ["PUT", "/sample/v1/things", "GET, POST"],
    ["POST", "/sample/v1/things/1?a=1", "DELETE, PUT"],
    ["PATCH", "/sample/v1/data", "PUT"],
    ["PROPFIND", "/sample/v1/things", "GET, POST"],
  ] as const) {
    const reply = await server.ask(method, path, method === "PUT" ? { body: "{not json" } : {})
    assert.equal(reply.status, 405, path)
    assert.equal(reply.headers.get("allow"), allow)
    assert.equal(reply.body.code, "api.method.not_allowed")
  }
  assert.equal((await server.ask("PATCH", "/sample/v1/things/")).status, 404, "a thing without an id")
  const stranger = { headers: { "x-auth-token": "" } }
  assert.equal((await server.ask("GET", "/sample/v1/nothing", stranger)).status, 401)
  assert.equal((await server.ask("PUT", "/sample/v1/things", stranger)).status, 401)
  assert.equal((await server.ask("GET", "/sample/nothing", stranger)).status, 404, "beside the version")
  assert.equal(
    (await server.ask("GET", "/strict/v1/nothing", stranger)).status,
    401,
    "a token, and a bad one",
  )
  assert.equal((await fetch(`${server.url}/strict/v1/nothing`)).status, 404)
  const bad = await server.ask("GET", "/sample/v1/%zz")
  assert.equal(bad.status, 400)
  assert.equal(bad.body.code, "request.refused")
})

test("who sends a bad body without a right to send one is told that", async () => {
  const reader = { ...internalCaller, systemScope: null, projectId: "p", roles: ["reader"] }
  await using server = await startServer(reader)
  const post = (api: string, body: string, token = "good") =>
    server.ask("POST", `/${api}/v1/things`, { body, headers: { "x-auth-token": token } })
  for (const body of ["{not json", '{"name": 3}']) {
    assert.equal((await post("sample", body, "bad")).status, 401)
    assert.equal((await post("sample", body)).status, 400, "most services look at the body first")
    assert.equal((await post("strict", body)).status, 403)
  }
  await using other = await startServer({ ...reader, roles: ["member"] })
  const maybe = await other.ask("POST", "/strict/v1/things", { body: '{"name": 3}' })
  assert.equal(maybe.status, 400, "it could be the member's own thing")
})

test("bad bodies are refused with the field's name", async () => {
  await using server = await startServer()
  const post = (body: string) => server.ask("POST", "/sample/v1/things", { body })
  assert.match((await post("{not json")).body.error, /not valid JSON/)
  assert.match((await post(JSON.stringify({ name: 3 }))).body.error, /name.*Value: 3/)
  assert.match((await post(JSON.stringify({ name: "a", extra: 1 }))).body.error, /'extra' was unexpected/)
  assert.match((await post("{}")).body.error, /'name' is a required property/)
  assert.equal((await post(JSON.stringify({ name: "x".repeat(3_000) }))).status, 413)
})

test("a raw route reads its own stream", async () => {
  await using server = await startServer()
  const data = await server.ask("PUT", "/sample/v1/data", {
    body: "x".repeat(5_000),
    headers: { "content-type": "application/octet-stream" },
  })
  assert.deepEqual(data.body, { size: 5_000 })
})

test("a success has the status that the route declares, and another one is noted", async () => {
  await using server = await startServer()
  forgetOperationNotes()
  const statusOf = async (method: string, query = "") =>
    (await server.ask(method, `/sample/v1/things/1${query}`)).status
  assert.equal(await statusOf("DELETE"), 204)
  assert.equal(await statusOf("PUT"), 202)
  assert.equal(await statusOf("PUT", "?as=body"), 200)
  const { status, headers } = await server.ask("PUT", "/sample/v1/things/1?as=headers")
  assert.deepEqual([status, headers.get("location")], [200, "/things/1"])
  assert.deepEqual(operationNotes(), [])
  assert.equal(await statusOf("PUT", "?as=other"), 203)
  const noted = operationNotes().map(({ kind, operation, what }) => `${kind} ${operation} ${what}`)
  assert.deepEqual(noted, ["undeclared_status PUT /things/{id} 203"])
  forgetOperationNotes()
})

test("a witness is given the request first, and looks at the answer", async () => {
  const seen: string[] = []
  setWitness({
    asked: (route, request) => ({ ...request, query: { seenBy: route.asking.name } }),
    answered: (route, { method }, body) => seen.push(`${method} ${route.path} ${JSON.stringify(body)}`),
  })
  try {
    await using server = await startServer()
    const { body } = await server.ask("GET", "/sample/v1/things?a=1")
    assert.deepEqual(body, { query: { seenBy: "GET /things" } })
    assert.equal((await server.ask("GET", "/sample/v1/bug")).status, 500)
    assert.deepEqual(seen, [`GET /things ${JSON.stringify(body)}`])
  } finally {
    setWitness(undefined)
  }
})
