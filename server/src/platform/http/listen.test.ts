import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { request } from "node:http"
import { type AddressInfo, connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { fastify } from "fastify"
import { listen } from "./listen.ts"
import type { UpgradeHandler } from "./upgrade.ts"

const host = "127.0.0.1"

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, host, listening))
  const { port } = probe.address() as AddressInfo
  await new Promise((closed) => probe.close(closed))
  return port
}

function serverOf(name: string) {
  const server = fastify()
  server.get("/compute/v2.1", (asked) => ({ name, url: asked.raw.url, host: asked.headers.host }))
  return server
}

async function ask(url: string): Promise<{ name: string; url: string; host: string }> {
  const answer = await fetch(url, { headers: { connection: "close" } })
  return (await answer.json()) as { name: string; url: string; host: string }
}

test("a door leads to one API, with its mount or without", async () => {
  const port = await freePort()
  await using listening = await listen(serverOf("a"), { host, port: 0, doors: [{ port, mount: "/compute" }] })
  const at = `http://${host}:${port}`
  for (const path of ["/v2.1", "/compute/v2.1", "/v2.1?limit=1"]) {
    const seen = await ask(`${at}${path}`)
    assert.equal(seen.url, path.startsWith("/compute") ? path : `/compute${path}`)
    assert.equal(seen.host, `${host}:${port}`)
  }
  assert.equal((await ask(`${listening.url}/compute/v2.1`)).name, "a")
  assert.equal((await fetch(`${listening.url}/v2.1`)).status, 404)
})

test("some paths are at the root on every port, and connections that stop to speak HTTP are handed over", async () => {
  const port = await freePort()
  const taken: string[] = []
  const upgrades: UpgradeHandler = {
    takes: ({ url, headers }) => headers.upgrade === "chat" && url === "/compute/v2.1",
    take: ({ url }, socket) => {
      taken.push(String(url))
      socket.write("HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
    },
  }
  const listening = await listen(serverOf("a"), {
    ...{ host, port: 0, upgrades, everywhere: ["/compute"] },
    doors: [{ port, mount: "/network" }],
  })
  assert.equal((await ask(`http://${host}:${port}/compute/v2.1`)).url, "/compute/v2.1")
  const open = (upgrade: string) => {
    const socket = connect(port, host)
    const lines = ["GET //compute/v2.1 HTTP/1.1", "Host: x", "Connection: Upgrade", `Upgrade: ${upgrade}`]
    socket.write(`${lines.join("\r\n")}\r\n\r\n`)
    return socket
  }
  const chat = open("chat")
  assert.match(String((await once(chat, "data"))[0]), /101 Switching Protocols/)
  const other = open("h2c")
  assert.match(String((await once(other, "data"))[0]), /^HTTP\/1\.1 200 /)
  assert.deepEqual(taken, ["/compute/v2.1"])
  chat.resume()
  const ended = once(chat, "close")
  await listening[Symbol.asyncDispose]()
  await ended
})

test("two share a port, and each has a socket of its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "kumoi-listen-"))
  try {
    const port = await freePort()
    const socketPath = join(directory, "b.sock")
    const a = await listen(serverOf("a"), { host, port, isShared: true })
    await using _b = await listen(serverOf("b"), { host, port, isShared: true, socketPath })
    const seen = new Set<string>()
    // The kernel shares connections out by their addresses: among so many both get some.
    for (let n = 0; n < 200 && seen.size < 2; n++)
      seen.add((await ask(`http://${host}:${port}/compute/v2.1`)).name)
    assert.deepEqual([...seen].sort(), ["a", "b"])
    assert.equal((await stat(socketPath)).mode & 0o777, 0o600)
    const status = await new Promise((resolve, reject) => {
      request({ socketPath, path: "/compute/v2.1" }, (response) => resolve(response.statusCode))
        .on("error", reject)
        .end()
    })
    assert.equal(status, 200)
    await a[Symbol.asyncDispose]()
    for (let n = 0; n < 20; n++) assert.equal((await ask(`http://${host}:${port}/compute/v2.1`)).name, "b")
  } finally {
    await rm(directory, { recursive: true })
  }
})

test("a door that is taken is named, and nothing stays open", async () => {
  const taken = createServer()
  await new Promise<void>((listening) => taken.listen(0, host, listening))
  const { port } = taken.address() as AddressInfo
  const own = await freePort()
  try {
    await assert.rejects(listen(serverOf("a"), { host, port: own, doors: [{ port, mount: "/compute" }] }), {
      code: "cli.port_taken",
      message: `Cannot listen on ${host}:${port}: it is taken by another program.`,
    })
    await assert.rejects(fetch(`http://${host}:${own}/compute/v2.1`))
  } finally {
    await new Promise((closed) => taken.close(closed))
  }
})
