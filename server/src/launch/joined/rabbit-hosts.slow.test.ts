// Hosts that join a cloud whose bus is the operator's RabbitMQ. They know nothing of it: what they hear and say goes
// through the door, and behind it over the broker.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { Connection } from "rabbitmq-client"
import { HostsCloud } from "../../../test/hosts-cloud.ts"
import { agentTopic } from "../../agent/protocol.ts"
import { openRabbitBus } from "../../platform/bus/rabbit-bus.ts"
import { rabbitMissing, startTestRabbit, type TestRabbit } from "../../platform/bus/testing/rabbitmq.ts"
import { eventually } from "../../platform/clock/clock.ts"

describe("joined hosts of a cloud on RabbitMQ", { skip: rabbitMissing() ?? false }, () => {
  let rabbit: TestRabbit
  let at: HostsCloud

  before(async () => {
    rabbit = await startTestRabbit()
    at = await HostsCloud.start({}, await openRabbitBus({ url: rabbit.url }))
  })
  after(async () => {
    await at?.[Symbol.asyncDispose]()
    await rabbit?.[Symbol.asyncDispose]()
  })

  const serverOf = async (id: string) => (await at.ok("GET", `/compute/v2.1/servers/${id}`)).server
  const becomes = (id: string, status: string) =>
    eventually(`${id} to be ${status}`, async () => (await serverOf(id)).status === status)
  const isUp = (host: string) =>
    eventually(`${host} to be up`, async () => (await at.serviceOf(host))?.state === "up")

  /** How many serve the host's topic on the broker. */
  async function consumers(host: string): Promise<number> {
    const connection = new Connection({ url: rabbit.url })
    try {
      const queue = `kumoi.${agentTopic(host)}`
      return (await connection.queueDeclare({ queue, passive: true })).consumerCount
    } finally {
      await connection.close()
    }
  }

  test("a host is commanded over the broker, and goes on when that went away and came back", async () => {
    const { agent, hypervisor } = await at.startHost("host2")
    await isUp("host2")
    assert.equal(await consumers("host2"), 1)
    const first = await at.createServerOn("host2")
    await becomes(first, "ACTIVE")
    const machine = (serverId: string) => ({ serverId, driver: "fake" })

    await rabbit.stop()
    // Guests run on, and the host's own connection to the cloud does not depend on the broker.
    assert.equal((await hypervisor.inspect(machine(first))).power, "running")
    const second = await at.createServerOn("host2")
    assert.ok(agent.link().isConnected)
    assert.equal((await serverOf(first)).status, "ACTIVE")
    assert.notEqual((await serverOf(second)).status, "ACTIVE")
    await rabbit.restart()
    await becomes(second, "ACTIVE")
    await isUp("host2")

    await rabbit.kill()
    // Nobody hears of either until the broker is back.
    hypervisor.guestPowersOff(first)
    await at.ok("DELETE", `/compute/v2.1/servers/${second}`)
    assert.equal((await serverOf(first)).status, "ACTIVE")
    await rabbit.restart()
    await becomes(first, "SHUTOFF")
    await eventually("the second one to be gone", async () => {
      return (await at.call("GET", `/compute/v2.1/servers/${second}`)).status === 404
    })
    const machines = await agent.role.agent.handle("vm.list", {})
    assert.deepEqual(
      machines.map(({ serverId }) => serverId),
      [first],
    )
    await isUp("host2")
    assert.equal(await consumers("host2"), 1)
    await agent.stop({ guests: "leave", graceMs: 0 })
  })
})
