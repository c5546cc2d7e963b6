// Two programs of different versions at the ends of one connection.
import assert from "node:assert/strict"
import { test } from "node:test"
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node"
import { eventually, systemClock } from "../clock/clock.ts"
import type { Fault } from "../fault/fault.ts"
import { silentLogger } from "../log/log.ts"
import { agreedVersion, firstHello, type Hello, readHello } from "./hello.ts"
import { type LinkState, openLinkBus } from "./link-bus.ts"
import { PeerBus, type ServePeerOptions, servePeer } from "./peer-bus.ts"
import { openHub } from "./testing/hub.ts"

const speaks = (oldest: number, newest: number, program = `${oldest}.${newest}`): Hello => ({
  program,
  protocol: { oldest, newest },
})

const hubOf = (options: ServePeerOptions) => openHub((socket, bus) => servePeer(bus, socket, options))

test("both ends speak the newest version that each knows", () => {
  assert.equal(agreedVersion(speaks(1, 2), speaks(1, 4)), 2)
  assert.equal(agreedVersion(speaks(2, 5), speaks(1, 4)), 4)
  assert.equal(agreedVersion(firstHello, speaks(1, 2)), 1)
})

test("who is too old is named, with what both are", () => {
  assert.throws(() => agreedVersion(speaks(1, 2, "0.1.0"), speaks(3, 4, "0.3.0")), {
    code: "bus.hello.host_too_old",
    message:
      "The host runs 0.1.0 (protocol 1 to 2), too old for its cloud, which runs 0.3.0 (protocol 3 to 4). Upgrade the host.",
  })
  assert.throws(() => agreedVersion(speaks(3, 4), speaks(1, 2)), { code: "bus.hello.cloud_too_old" })
  assert.throws(() => agreedVersion(firstHello, speaks(2, 2)), { message: /before versions were told/ })
})

test("a hello may say more, and what is none is refused", () => {
  assert.deepEqual(readHello({ ...speaks(1, 2), more: true }), speaks(1, 2))
  for (const wrong of [null, {}, { program: "x" }, speaks(3, 2), speaks(0, 1), speaks(1, 1.5)])
    assert.throws(() => readHello(wrong), { code: "bus.hello.wrong" }, JSON.stringify(wrong))
})

test("each end learns of the other, and what is not known there is not sent", async () => {
  const heard: { hello: Hello; refusal: Fault | null }[] = []
  const since: Record<string, number> = { old: 1, young: 2 }
  await using hub = await hubOf({
    hello: speaks(1, 2),
    onHello: (hello, refusal) => void heard.push({ hello, refusal }),
    checkMethod: (method, version) => {
      if ((since[method] ?? 0) > version) throw new Error(`${method} is not of ${version}`)
    },
  })
  for (const [newest, isTold] of [
    [1, false],
    [2, true],
  ] as const) {
    const hello = speaks(1, newest)
    const bus = new PeerBus(await hub.connect(), { hello })
    assert.deepEqual(await bus.greet(), speaks(1, 2))
    assert.deepEqual(heard.at(-1), { hello, refusal: null })
    const told: string[] = []
    const serving = await bus.serve("t", async (method) => void told.push(method))
    await hub.bus.call("t", "old", {}, { timeoutMs: 240_000 })
    const young = hub.bus.call("t", "young", {}, { timeoutMs: 240_000 })
    if (isTold) await young
    else await assert.rejects(young)
    assert.deepEqual(told, isTold ? ["old", "young"] : ["old"])
    await serving[Symbol.asyncDispose]()
    await bus[Symbol.asyncDispose]()
  }
})

test("an end that says no hello is of the first version: it is served, or refused when that is too old", async () => {
  await using hub = await hubOf({ hello: speaks(1, 3) })
  await using silent = new PeerBus(await hub.connect(), {})
  await silent.publish("t", {})
  await using next = await hubOf({ hello: speaks(2, 3) })
  await using left = new PeerBus(await next.connect(), {})
  await assert.rejects(left.publish("t", {}), { code: "bus.hello.host_too_old", message: /Upgrade the host/ })
})

/** A hub of before there was a hello: its JSON-RPC has no such method. */
const openOldHub = () =>
  openHub((socket) => {
    const connection = createMessageConnection(
      new StreamMessageReader(socket),
      new StreamMessageWriter(socket),
    )
    connection.onRequest("publish", () => ({ result: null }))
    connection.listen()
  })

test("a hub of before the hello takes who speaks the first version", async () => {
  await using hub = await openOldHub()
  await using bus = new PeerBus(await hub.connect(), { hello: speaks(1, 2) })
  assert.deepEqual(await bus.greet(), firstHello)
  await bus.publish("t", {})
  await using young = new PeerBus(await hub.connect(), { hello: speaks(2, 2) })
  await assert.rejects(young.greet(), { code: "bus.hello.cloud_too_old", message: /Upgrade the cloud/ })
})

test("a link that is refused says why, and asks less and less often", async () => {
  let asked = 0
  await using hub = await hubOf({ hello: speaks(3, 4), onHello: () => void asked++ })
  const states: LinkState[] = []
  const pauses: number[] = []
  await using link = openLinkBus({
    connect: () => hub.connect(),
    hello: speaks(1, 2),
    log: silentLogger,
    clock: {
      ...systemClock,
      sleep: async (ms, signal) => {
        pauses.push(ms)
        await systemClock.sleep(1, signal)
      },
    },
    onChange: (state) => void states.push(state),
  })
  await eventually("a few tries", async () => pauses.length >= 6)
  assert.ok(asked >= 6)
  assert.ok(states.every(({ isConnected, problem }) => !isConnected && problem?.includes("Upgrade the host")))
  assert.ok((pauses[5] ?? 0) >= 4_000, `the sixth pause is ${pauses[5]} ms`)
  await assert.rejects(link.publish("t", {}), { code: "bus.connection_lost" })
})
