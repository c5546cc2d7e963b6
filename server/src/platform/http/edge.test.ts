// What anybody may send to the edge, with or without a token.
import assert from "node:assert/strict"
import { once } from "node:events"
import { type AddressInfo, connect, type Socket } from "node:net"
import { test } from "node:test"
import { fastify } from "fastify"
import pg from "pg"
import { internalCaller } from "../auth/caller.ts"
import { systemClock } from "../clock/clock.ts"
import type { Platform } from "../context/context.ts"
import { Fault } from "../fault/fault.ts"
import { silentLogger } from "../log/log.ts"
import { PolicyEngine } from "../policy/policy.ts"
import { listen } from "./listen.ts"
import { createHttpServer } from "./server.ts"
import { checkUrl, plainUrl } from "./url.ts"
import { type Api, route } from "./wire.ts"

const statuses: Partial<Record<string, number>> = {
  invalid: 400,
  too_large: 413,
  unauthenticated: 401,
  not_found: 404,
  timed_out: 408,
  conflict: 409,
}

async function readAll(stream: AsyncIterable<unknown>): Promise<number> {
  let size = 0
  for await (const chunk of stream) size += (chunk as Buffer).length
  return size
}

/** How the handler of the streamed routes ended. */
let streamEnd: Promise<unknown> = Promise.resolve()

const api: Api = {
  service: "sample",
  mounts: ["/sample"],
  version: "/v1",
  renderFault: (fault) => ({
    status: statuses[fault.kind] ?? 500,
    body: { sample: fault.message, code: fault.code },
  }),
  routes: [
    route({
      method: "GET",
      path: "/things/{id}",
      policy: "authenticated",
      handler: async (_ctx, req) => ({ id: req.params.id, query: req.query }),
    }),
    route({
      method: "PUT",
      path: "/things/{id}",
      policy: "authenticated",
      handler: async () => {
        const gone = new pg.DatabaseError("violates foreign key constraint", 1, "error")
        throw Object.assign(gone, { code: "23503" })
      },
    }),
    route({
      method: "POST",
      path: "/login",
      policy: "public",
      body: { type: "object" },
      handler: async (_ctx, req) => req.body,
    }),
    route({
      method: "PUT",
      path: "/data",
      policy: "authenticated",
      rawBody: true,
      handler: async (_ctx, req) => {
        const reading = readAll(req.stream)
        streamEnd = reading.catch((error: unknown) => error)
        return { size: await reading }
      },
    }),
    route({
      method: "POST",
      path: "/form",
      policy: "public",
      rawBody: true,
      handler: async (_ctx, req) => ({ size: await readAll(req.stream) }),
    }),
  ],
}

const patient = {
  publicUrl: "",
  serviceUrls: {},
  trustedProxies: [],
  headersDeadlineMs: 60_000,
  bodyDeadlineMs: 60_000,
  streamIdleMs: 60_000,
  bodyLingerMs: 60_000,
  jsonDepthMost: 10,
  jsonItemsMost: 50,
  connectionsMost: 100,
  connectionsPerAddressMost: 100,
}

async function start(limits: Partial<Platform["config"]["http"]> = {}) {
  const http = { ...patient, ...limits }
  const platform = {
    log: silentLogger,
    policy: new PolicyEngine(),
    clock: systemClock,
    config: { publicUrl: "http://127.0.0.1", host: "host1", http },
  } as unknown as Platform
  const server = createHttpServer({
    platform,
    apis: [api],
    bodyLimitBytes: 2_000,
    authenticate: (headers) => {
      if (headers["x-auth-token"] === "good") return internalCaller
      throw new Fault("unauthenticated", "sample.unauthenticated", "Who are you?")
    },
  })
  await server.listen({ host: "127.0.0.1", port: 0 })
  const { port } = server.server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: async () => await server.close() }
}

/** A connection with what came on it; `closed` resolves when the other side has ended it. */
function dial(port: number) {
  const socket: Socket = connect(port, "127.0.0.1")
  let text = ""
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += chunk
  })
  socket.on("error", () => {})
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  return { socket, closed, received: () => text, [Symbol.dispose]: () => void socket.destroy() }
}

async function answered(connection: ReturnType<typeof dial>): Promise<string> {
  while (!connection.received().includes("\r\n\r\n")) await once(connection.socket, "data")
  return connection.received()
}

const head = (line: string, headers: Record<string, string>) =>
  `${line} HTTP/1.1\r\nhost: x\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`

const token = { "x-auth-token": "good" }

test("a body that does not come is answered, and what follows it ends the connection", async () => {
  await using server = await start({ bodyDeadlineMs: 200, bodyLingerMs: 200 })
  using slow = dial(server.port)
  slow.socket.write(head("POST /sample/v1/login", { "content-length": "100" }))
  slow.socket.write('{"a":')
  assert.match(await answered(slow), /^HTTP\/1\.1 408 .*"code":"request\.body_late"/s)
  await slow.closed
})

test("a body beyond the limit is not read on for ever", async () => {
  await using server = await start({ bodyLingerMs: 300 })
  for (const line of [
    "POST /sample/v1/login",
    "POST /sample/v1/nothing",
    "GET /nowhere",
    "PUT /sample/v1/data",
  ]) {
    using endless = dial(server.port)
    endless.socket.write(head(line, { "transfer-encoding": "chunked" }))
    const chunk = `3e8\r\n${"x".repeat(1_000)}\r\n`
    const sending = setInterval(() => endless.socket.write(chunk), 10)
    try {
      const expected = line.endsWith("login") ? 413 : line.endsWith("nowhere") ? 404 : 401
      assert.match(await answered(endless), new RegExp(`^HTTP/1\\.1 ${expected}`), line)
      await endless.closed
    } finally {
      clearInterval(sending)
    }
  }
  using announced = dial(server.port)
  announced.socket.write(head("POST /sample/v1/login", { "content-length": "3000000000" }))
  assert.match(await answered(announced), /^HTTP\/1\.1 413/)
  await announced.closed
})

test("an upload that stands still ends, one that moves goes on", async () => {
  await using server = await start({ streamIdleMs: 100 })
  using stalled = dial(server.port)
  stalled.socket.write(head("PUT /sample/v1/data", { ...token, "content-length": "100" }))
  stalled.socket.write("some")
  await stalled.closed
  const fault = await streamEnd
  assert.ok(fault instanceof Fault)
  assert.equal(fault.code, "request.body_stalled")
  // Long beside the pauses between its pieces, also on a busy machine, and short beside all of them.
  const streamIdleMs = 2_000
  await using patient = await start({ streamIdleMs })
  using moving = dial(patient.port)
  moving.socket.write(head("PUT /sample/v1/data", { ...token, "content-length": "40" }))
  for (let sent = 0; sent < 40; sent++) {
    moving.socket.write("x")
    await systemClock.sleep(streamIdleMs / 30)
  }
  assert.match(await answered(moving), /^HTTP\/1\.1 200 .*"size":40/s)
})

test("a stranger's stream must not trickle", async () => {
  await using server = await start({ bodyDeadlineMs: 300 })
  using trickle = dial(server.port)
  trickle.socket.write(head("POST /sample/v1/form", { "transfer-encoding": "chunked" }))
  const sending = setInterval(() => trickle.socket.write("1\r\nx\r\n"), 20)
  await trickle.closed
  clearInterval(sending)
})

test("headers that do not come end the connection", async () => {
  await using server = await start({ headersDeadlineMs: 400 })
  using silent = dial(server.port)
  using dripping = dial(server.port)
  dripping.socket.write("GET /sample/v1/things/1 HTTP/1.1\r\nhost: x\r\n")
  const sending = setInterval(() => dripping.socket.write("a: b\r\n"), 50)
  await Promise.all([silent.closed, dripping.closed])
  clearInterval(sending)
})

test("there are so many connections and no more", async () => {
  const server = fastify()
  server.get("/", () => "here")
  await using listening = await listen(server, { host: "127.0.0.1", port: 0, connectionsMost: 3 })
  const port = Number(new URL(listening.url).port)
  const held = Array.from({ length: 3 }, () => dial(port))
  for (const connection of held) {
    connection.socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert.match(await answered(connection), /200/)
  }
  using further = dial(port)
  await further.closed
  assert.equal(further.received(), "")
  for (const { socket } of held) socket.destroy()
})

async function ask(
  port: number,
  line: string,
  body?: string | Buffer,
  headers: Record<string, string> = token,
) {
  using connection = dial(port)
  const bytes = body === undefined ? null : Buffer.from(body)
  const length: Record<string, string> = bytes === null ? {} : { "content-length": String(bytes.length) }
  connection.socket.write(Buffer.from(head(line, { ...headers, ...length, connection: "close" }), "latin1"))
  if (bytes) connection.socket.write(bytes)
  await connection.closed
  const [top = "", text = ""] = connection.received().split("\r\n\r\n")
  return { status: Number(top.split(" ")[1]), body: text.includes("{") ? JSON.parse(text) : text }
}

test("no text holds U+0000 or what is not UTF-8, wherever it comes", async () => {
  await using server = await start()
  for (const path of [
    "/things/a%00b",
    "/things/1?name=%00",
    "/things/1?%00=1",
    "/things/%ff",
    "/things/1?name=%c3",
  ]) {
    const { status, body } = await ask(server.port, `GET /sample/v1${path}`)
    assert.equal(status, 400, path)
    assert.ok(body.sample, "in the API's own shape")
  }
  assert.equal((await ask(server.port, "GET /sample/v1/things/1?name=100%")).status, 200)
  assert.equal((await ask(server.port, "GET /sample/v1/things/%c3%a9")).body.id, "é")
  assert.equal((await ask(server.port, "GET /sample/v1/things/\u00ff")).status, 400)
  for (const [body, why] of [
    ['{"name":"a\\u0000b"}', /field name: .*U\+0000/],
    ['{"deep":[{"er":"\\u0000"}]}', /field er: .*U\+0000/],
    ['{"a\\u0000b":1}', /field body: .*U\+0000/],
    ['{"name":"\\ud800"}', /field name: .*surrogate/],
    [Buffer.from([0x22, 0xff, 0x22]), /not UTF-8/],
  ] as const) {
    const reply = await ask(server.port, "POST /sample/v1/login", body, {})
    assert.equal(reply.status, 400)
    assert.match(reply.body.sample, why)
  }
})

test("bodies nest so deep and have so many members", async () => {
  await using server = await start()
  const login = (body: string) => ask(server.port, "POST /sample/v1/login", body, {})
  for (const [open, close] of [
    ["[", "]"],
    ['{"a":', "}"],
  ] as const) {
    const nested = (depth: number) => `{"x":${open.repeat(depth)}1${close.repeat(depth)}}`
    assert.equal((await login(nested(9))).status, 201)
    const refused = await login(nested(10))
    assert.equal(refused.status, 400)
    assert.match(refused.body.sample, /more than 10 deep/)
    assert.equal((await login(nested(280))).status, 400)
  }
  const list = (length: number) => JSON.stringify({ list: Array.from({ length }, () => 1) })
  assert.equal((await login(list(50))).status, 201)
  assert.match((await login(list(51))).body.sample, /field list: it has more than 50 members/)
})

test("an address has one form", () => {
  for (const [given, plain] of [
    ["/identity/v3", "/identity/v3"],
    ["//identity//v3///auth/tokens", "/identity/v3/auth/tokens"],
    ["/a//b?next=http://x//y", "/a/b?next=http://x//y"],
    ["http://cloud.example:5000/identity/v3?a=1", "/identity/v3?a=1"],
  ] as const)
    assert.equal(plainUrl(given), plain)
  for (const wrong of ["/%00", "/a?b=%E2%82", "/%ff"]) assert.throws(() => checkUrl(wrong), Fault)
  for (const right of ["/%E2%82%AC", "/a%", "/%zz", "/a?b=%25"]) assert.doesNotThrow(() => checkUrl(right))
})

test("doubled slashes lead where one does", async () => {
  await using server = await start()
  assert.equal((await ask(server.port, "GET //sample/v1//things/1")).body.id, "1")
})

test("two requests that meet in the database are no bug", async () => {
  await using server = await start()
  const { status, body } = await ask(server.port, "PUT /sample/v1/things/1")
  assert.equal(status, 409)
  assert.match(body.sample, /^Another request/)
})
