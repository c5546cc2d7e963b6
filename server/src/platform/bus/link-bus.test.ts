import assert from "node:assert/strict"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { test } from "node:test"
import { eventually, systemClock } from "../clock/clock.ts"
import { silentLogger } from "../log/log.ts"
import { type BusEnds, busContract } from "./bus.contract.ts"
import type { Bus } from "./bus.ts"
import { type LinkBus, type LinkState, openLinkBus } from "./link-bus.ts"
import { createMemoryBus } from "./memory-bus.ts"
import { servePeer } from "./peer-bus.ts"

/** The process with the bus: can be cut off and come back. */
class Hub implements AsyncDisposable {
  readonly bus = createMemoryBus()
  readonly #sockets = new Set<Socket>()
  #server = createServer()
  port = 0

  async open(): Promise<void> {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => this.#sockets.delete(socket))
      servePeer(this.bus, socket, { isWatched: true })
    })
    await new Promise<void>((resolve) => this.#server.listen(this.port, "127.0.0.1", resolve))
    this.port = (this.#server.address() as AddressInfo).port
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async link(states: LinkState[] = []): Promise<LinkBus> {
    const link = openLinkBus({
      connect: async () => {
        const socket = connect(this.port, "127.0.0.1")
        await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject))
        return socket
      },
      clock: systemClock,
      log: silentLogger,
      onChange: (state) => void states.push(state),
    })
    await link.linked(AbortSignal.timeout(240_000))
    return link
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut()
    await this.bus[Symbol.asyncDispose]()
  }
}

async function openHub(): Promise<Hub> {
  const hub = new Hub()
  await hub.open()
  return hub
}

function endsOf(hub: Hub, near: Bus, far: Bus, links: readonly Bus[]): BusEnds {
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      for (const link of links) await link[Symbol.asyncDispose]()
      await hub[Symbol.asyncDispose]()
    },
  }
}

busContract("link, the other end has the bus", async () => {
  const hub = await openHub()
  const link = await hub.link()
  return endsOf(hub, link, hub.bus, [link])
})
busContract("link, seen from the one with the bus", async () => {
  const hub = await openHub()
  const link = await hub.link()
  return endsOf(hub, hub.bus, link, [link])
})
busContract("link, both ends reach it", async () => {
  const hub = await openHub()
  const [near, far] = [await hub.link(), await hub.link()]
  return endsOf(hub, near, far, [near, far])
})

test("after the connection broke, what was served and subscribed is so again, and calls work again", async () => {
  await using hub = await openHub()
  const states: LinkState[] = []
  await using link = await hub.link(states)
  await using _served = await link.serve("host.a", async (method) => method)
  const heard: unknown[] = []
  await using _heard = await link.subscribe("news", (message) => void heard.push(message))
  const soon = { timeoutMs: 240_000 }
  assert.equal(await hub.bus.call("host.a", "before", {}, soon), "before")
  await hub.cut()
  await eventually("the break to be told", () => states.at(-1)?.isConnected === false)
  assert.ok(states.at(-1)?.problem)
  await assert.rejects(link.publish("news", 1), { kind: "unavailable" })
  await assert.rejects(hub.bus.call("host.a", "between", {}, { timeoutMs: 300 }), { kind: "unavailable" })
  await using _other = await hub.bus.serve("work", async (_method, args) => args)
  // What is served while there is no connection is served with the next one.
  await using _late = await link.serve("host.late", async () => "late")
  await hub.open()
  await eventually("the link", () => states.at(-1)?.isConnected === true)
  assert.equal(await hub.bus.call("host.a", "after", {}, soon), "after")
  assert.equal(await hub.bus.call("host.late", "m", {}, soon), "late")
  assert.equal(await link.call("work", "m", 7, soon), 7)
  await hub.bus.publish("news", 2)
  await eventually("the news", () => heard.includes(2))
})

test("a link that nobody answers ends when it is told to", async () => {
  const states: LinkState[] = []
  const link = openLinkBus({
    connect: async () => {
      throw new Error("no route")
    },
    clock: systemClock,
    log: silentLogger,
    onChange: (state) => void states.push(state),
  })
  await eventually("a failure", () => states.length > 0)
  assert.deepEqual(states[0], { isConnected: false, problem: "Error: no route" })
  await link[Symbol.asyncDispose]()
  await assert.rejects(
    link.serve("host.a", async () => 1),
    { code: "bus.closed" },
  )
})
