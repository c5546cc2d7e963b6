import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Connection } from "rabbitmq-client"
import { eventually } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import { busContract } from "./bus.contract.ts"
import { openRabbitBus } from "./rabbit-bus.ts"
import { rabbitMissing, startTestRabbit, type TestRabbit } from "./testing/rabbitmq.ts"

const missing = rabbitMissing()

describe("RabbitMQ", { skip: missing ?? false }, () => {
  let rabbit: TestRabbit
  before(async () => {
    rabbit = await startTestRabbit()
  })
  after(async () => await rabbit[Symbol.asyncDispose]())

  busContract("RabbitMQ", async () => {
    const near = await openRabbitBus({ url: rabbit.url, connectionName: "near" })
    const far = await openRabbitBus({ url: rabbit.url, connectionName: "far" })
    return {
      near,
      far,
      async [Symbol.asyncDispose]() {
        await near[Symbol.asyncDispose]()
        await far[Symbol.asyncDispose]()
      },
    }
  })

  test("a notification has the envelope and the place that other programs expect", async () => {
    await using bus = await openRabbitBus({ url: rabbit.url })
    const own: unknown[] = []
    await using _own = await bus.subscribe("notifications.info", (message) => void own.push(message))
    const other = new Connection({ url: rabbit.url })
    const seen: unknown[] = []
    const consumer = other.createConsumer(
      {
        queue: "notifications.info",
        queueOptions: { durable: false, autoDelete: true },
        exchanges: [{ exchange: "openstack", type: "topic", durable: false }],
        queueBindings: [{ exchange: "openstack", routingKey: "notifications.info" }],
      },
      (message) => void seen.push(message.body),
    )
    try {
      await new Promise<void>((resolve) => consumer.once("ready", resolve))
      await bus.publish("notifications.info", {
        event_type: "compute.instance.create.end",
        payload: { n: 1 },
      })
      await eventually("both to hear", () => seen.length === 1 && own.length === 1)
      const text = '{"event_type":"compute.instance.create.end","payload":{"n":1}}'
      assert.deepEqual(seen, [{ "oslo.version": "2.0", "oslo.message": text }])
      assert.deepEqual(own, [JSON.parse(text)])
    } finally {
      await consumer.close()
      await other.close()
    }
  })

  test("a request whose server process died goes to another", async () => {
    const dying = await openRabbitBus({ url: rabbit.url })
    await using asking = await openRabbitBus({ url: rabbit.url })
    await using living = await openRabbitBus({ url: rabbit.url })
    const handed = Promise.withResolvers<void>()
    await dying.serve("work.handover", async () => {
      handed.resolve()
      return await new Promise(() => {})
    })
    const answer = asking.call("work.handover", "m", {}, { timeoutMs: 240_000 })
    await handed.promise
    await using _served = await living.serve("work.handover", async () => "done by another")
    void dying[Symbol.asyncDispose]() // does not wait for the handler for ever; then its connection is cut
    assert.equal(await answer, "done by another")
  })

  test("after the broker went away and came back, everything works again", async () => {
    await using bus = await openRabbitBus({ url: rabbit.url })
    await using _served = await bus.serve("host.back", async (_method, args) => args)
    const heard: unknown[] = []
    await using _heard = await bus.subscribe("news.back", (message) => void heard.push(message))
    const soon = { timeoutMs: 2_000 }
    assert.equal(await bus.call("host.back", "m", 1, { timeoutMs: 240_000 }), 1)
    await rabbit.stop()
    const lost = await bus.call("host.back", "m", 2, soon).catch((error: unknown) => error)
    assert.ok(lost instanceof Fault && lost.kind === "unavailable")
    await rabbit.restart()
    const back = await eventually("an answer", () => bus.call("host.back", "m", 3, soon))
    assert.equal(back, 3)
    await eventually("a message", async () => {
      await bus.publish("news.back", "hello")
      return heard.length > 0
    })
  })

  test("a broker that confirms nothing is away, and takes messages again when it can", async () => {
    await using bus = await openRabbitBus({ url: rabbit.url, confirmTimeoutMs: 1_500 })
    const heard: unknown[] = []
    await using _heard = await bus.subscribe("notifications.held", (message) => void heard.push(message))
    await bus.publish("notifications.held", 1)
    await rabbit.holdPublishers(true)
    try {
      // More than once: what waits on a connection that was given up holds up no other one.
      for (const n of [2, 3]) {
        const all = [n, n].map((each) => bus.publish("notifications.held", each))
        for (const { reason } of (await Promise.allSettled(all)).filter((one) => one.status === "rejected"))
          assert.ok(
            reason instanceof Fault && reason.kind === "unavailable" && reason.code === "bus.unconfirmed",
          )
        assert.equal((await Promise.allSettled(all)).filter((one) => one.status === "fulfilled").length, 0)
      }
    } finally {
      await rabbit.holdPublishers(false)
    }
    await eventually("a message to be confirmed", async () => {
      await bus.publish("notifications.held", 4)
      return true
    })
    await eventually("the listener", () => heard.includes(4))
  })
})
