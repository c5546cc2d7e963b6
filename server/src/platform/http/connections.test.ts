// What connections get that never become a request of an API.
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { fastify } from "fastify"
import { eventually } from "../clock/clock.ts"
import { exec } from "../exec/exec.ts"
import { readRanges } from "../net/ranges.ts"
import { networkOf } from "./connections.ts"
import { type ListenOptions, listen } from "./listen.ts"

async function start(options: Partial<ListenOptions> = {}, headersTimeout = 60_000) {
  const server = fastify({ http: { headersTimeout } })
  server.get("/*", () => ({ here: true }))
  server.addContentTypeParser("*", (_request, _body, done) => done(null))
  server.post("/*", (_request, response) => {
    // Begun, and not over before its body is.
    response.hijack()
    response.raw.writeHead(200, { "content-type": "text/plain" })
    response.raw.write("begun")
  })
  return await listen(server, { host: "127.0.0.1", port: 0, ...options })
}

const portOf = ({ url }: { url: string }) => Number(new URL(url).port)

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

async function say(port: number, words: string): Promise<{ status: number; body: string }> {
  using connection = dial(port)
  connection.socket.write(words)
  await connection.closed
  const [top = "", body = ""] = connection.received().split("\r\n\r\n")
  return { status: Number(top.split(" ")[1]), body }
}

const messageOf = (body: string): string => JSON.parse(body).error.message

test("what is no request is answered in a sentence", async () => {
  await using listening = await start({}, 300)
  const port = portOf(listening)
  const long = await say(port, `GET /${"a".repeat(50_000)} HTTP/1.1\r\nhost: x\r\n\r\n`)
  assert.equal(long.status, 431)
  assert.match(messageOf(long.body), /may have 16 KiB/)
  const noise = await say(port, "EHLO mail.example\r\n\r\n")
  assert.equal(noise.status, 400)
  assert.match(messageOf(noise.body), /no HTTP request/)
  const silent = await say(port, "GET / HTTP/1.1\r\nhost: x\r\n")
  assert.equal(silent.status, 408)
  assert.match(messageOf(silent.body), /did not come in time/)
})

test("an answer that has begun gets nothing more", async () => {
  await using listening = await start()
  using connection = dial(portOf(listening))
  connection.socket.write(
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: a/b\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
  )
  await eventually("begun", async () => connection.received().includes("begun"))
  connection.socket.write("this is no chunk\r\n")
  await connection.closed
  assert.equal(connection.received().match(/HTTP\/1\.1/g)?.length, 1)
})

test("HTTP on a port that speaks TLS is told so", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-connections-"))
  try {
    const tls = { certFile: join(dir, "cert.pem"), keyFile: join(dir, "key.pem") }
    await exec("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost".split(
        " ",
      ),
      ...["-keyout", tls.keyFile, "-out", tls.certFile],
    ])
    await using listening = await start({ tls })
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const told = await say(portOf(listening), `${method} /identity/v3 HTTP/1.1\r\nhost: x\r\n\r\n`)
      assert.equal(told.status, 400, method)
      assert.match(messageOf(told.body), /https:\/\//)
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test("an address has so many connections; others and who is exempt have theirs", async () => {
  const limits = (exempt: string[]) => ({
    connectionLimits: { perAddressMost: 2, exempt: readRanges(exempt, "") },
  })
  const ask = "GET / HTTP/1.1\r\nhost: x\r\n\r\n"
  {
    await using listening = await start(limits([]))
    const port = portOf(listening)
    using first = dial(port)
    using second = dial(port)
    for (const { socket, received } of [first, second]) {
      socket.write(ask)
      await eventually("an answer", async () => received().includes("here"))
    }
    const third = await say(port, ask)
    assert.equal(third.status, 429)
    assert.match(messageOf(third.body), /more than 2 connections/)
    // More than twice as many are closed at once.
    using held = dial(port)
    using also = dial(port)
    await Promise.all([once(held.socket, "connect"), once(also.socket, "connect")])
    using beyond = dial(port)
    await beyond.closed
    assert.equal(beyond.received(), "")
    for (const each of [first, held, also]) {
      each.socket.destroy()
      await each.closed
    }
    await eventually(
      "a place is free again",
      async () => (await say(port, `${ask}`.replace("host", "connection: close\r\nhost"))).status === 200,
    )
  }
  await using open = await start(limits(["127.0.0.0/8"]))
  const held = Array.from({ length: 10 }, () => dial(portOf(open)))
  for (const { socket, received } of held) {
    socket.write(ask)
    await eventually("an answer", async () => received().includes("here"))
    socket.destroy()
  }
})

test("addresses of one IPv6 network are one client", () => {
  assert.equal(networkOf("2001:db8::1"), networkOf("2001:db8::ffff:2"))
  assert.notEqual(networkOf("2001:db8:0:1::1"), networkOf("2001:db8::1"))
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0::/64")
  assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1")
  assert.equal(networkOf("192.0.2.1"), "192.0.2.1")
})
