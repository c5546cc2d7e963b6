import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { eventually } from "../clock/clock.ts"
import { PeerBus, servePeer } from "./peer-bus.ts"
import { openHub } from "./testing/hub.ts"

const open = (options: Parameters<typeof servePeer>[2] = {}) =>
  openHub((socket, bus) => servePeer(bus, socket, options))

const asking = (id: number, method: string, params: object) => framed({ jsonrpc: "2.0", id, method, params })

const framed = (message: unknown) => {
  const text = JSON.stringify(message)
  return `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

for (const [what, bytes] of Object.entries({
  "a message that is longer than one may be": "Content-Length: 99999999999\r\n\r\n",
  "a head without an end": "a".repeat(10_000),
  "a head without a length": "X: y\r\n\r\n{}",
  "a length that is none": "Content-Length: -5\r\n\r\n",
  "what is no JSON": "Content-Length: 3\r\n\r\n{{{",
  "a message that is none of the protocol's": framed({
    jsonrpc: "2.0",
    method: "$/cancelRequest",
    params: null,
  }),
})) {
  test(`${what} ends the connection`, async () => {
    await using ends = await open()
    const socket = await ends.connect()
    const closed = new Promise((resolve) => socket.once("close", resolve))
    socket.resume().write(bytes)
    await closed
  })
}

test("messages come whole, however they are cut", async () => {
  await using ends = await open()
  const heard: unknown[] = []
  await ends.bus.subscribe("t", (message) => void heard.push(message))
  const socket = await ends.connect()
  const bytes = Buffer.from(
    ["a", "\u00fc", "x".repeat(300)].map((args, id) => asking(id, "publish", { topic: "t", args })).join(""),
  )
  for (const byte of bytes) {
    socket.write(Buffer.of(byte))
    if (byte === 125) await delay(1)
  }
  await eventually("three messages", () => heard.length === 3)
  socket.write(Buffer.concat([bytes, bytes]))
  await eventually("nine messages", () => heard.length === 9)
  assert.deepEqual(heard.slice(0, 3), ["a", "\u00fc", "x".repeat(300)])
})

test("a handle is served once, and there are no more of them than may be", async () => {
  await using ends = await open({ handlesMost: 3 })
  const socket = await ends.connect()
  let said = ""
  socket.on("data", (chunk) => {
    said += chunk
  })
  const handles = ["a", "a", "b", "c", "d"]
  handles.forEach((handle, id) => {
    socket.write(asking(id, "serve", { topic: "t", handle, concurrency: null }))
  })
  await eventually("five answers", () => said.match(/"id":/g)?.length === 5)
  assert.equal(said.match(/bus.too_many/g)?.length, 1)
  assert.equal(said.match(/bus.handle_taken/g)?.length, 1)
  socket.destroy()
  // Nothing is left of what it served.
  await eventually("nobody to serve", async () => {
    const fault = await ends.bus.call("t", "m", {}, { timeoutMs: 100 }).catch((error: unknown) => error)
    return fault instanceof Error && "code" in fault && fault.code === "bus.no_server"
  })
})

test("a call that was given up makes room, though it is never answered", async () => {
  await using ends = await open()
  const socket = await ends.connect()
  socket.resume().write(asking(1, "serve", { topic: "t", handle: "a", concurrency: 1 }))
  const call = (timeoutMs: number) => ends.bus.call("t", "m", {}, { timeoutMs })
  await eventually("it to serve", async () => {
    const fault = await call(50).catch((error: { code: string }) => error)
    return (fault as { code: string }).code === "bus.no_answer"
  })
  const seen: string[] = []
  socket.on("data", (chunk) => void seen.push(String(chunk)))
  const another = call(240_000).catch(() => {})
  await eventually("another to be handed over", () => seen.join("").includes('"handle"'))
  socket.destroy()
  await another
})

test("what is said to an end that does not read is bounded", async () => {
  await using ends = await open()
  const socket = await ends.connect()
  const closed = new Promise((resolve) => socket.once("close", resolve))
  socket.write(asking(1, "subscribe", { topic: "t", handle: "a" }))
  await once(socket, "data")
  socket.pause()
  const text = "x".repeat(8_000_000)
  for (let at = 0; at < 20; at++) {
    await ends.bus.publish("t", text)
    await delay(10)
  }
  socket.resume()
  await closed
})

test("a call's answer is not lost by the bounds", async () => {
  await using ends = await open({ isWatched: true })
  const peer = new PeerBus(await ends.connect(), {})
  await ends.bus.serve("t", async (_method, args) => args)
  const long = "y".repeat(3_000_000)
  assert.equal(await peer.call("t", "m", long, { timeoutMs: 240_000 }), long)
  await peer[Symbol.asyncDispose]()
})
