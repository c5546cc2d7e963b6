// What every network driver promises, as one suite that each of them runs.
import assert from "node:assert/strict"
import { test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { changedSomePorts, randomFrom } from "./changed-ports.ts"
import type { NetworkDriver, NetworkWant } from "./network-driver.ts"
import { ports, sampleWant } from "./sample-want.ts"

export interface DriverUnderTest {
  driver: NetworkDriver
  /** Does what a host does once the port's machine is there. */
  plug(portId: string): Promise<void>
}

const nothing: NetworkWant = {
  networks: [],
  subnets: [],
  ports: [],
  routers: [],
  floatingIps: [],
  securityGroups: [],
}
const unchanged = { created: 0, updated: 0, removed: 0 }

export function networkDriverContract(
  name: string,
  make: () => Promise<DriverUnderTest>,
  skip: string | false = false,
): void {
  test(`${name}: what is wanted is made once, changed in place and removed`, { skip }, async () => {
    const { driver } = await make()
    await using _ = driver
    assert.deepEqual(await driver.reconcile(structuredClone(nothing)), await driver.reconcile(nothing))
    assert.deepEqual(await driver.reconcile(nothing), unchanged)
    const made = await driver.reconcile(sampleWant)
    assert.ok(made.created > 0)
    assert.equal(made.removed, 0)
    assert.deepEqual(await driver.reconcile(structuredClone(sampleWant)), unchanged)

    const changed = structuredClone(sampleWant)
    for (const port of changed.ports)
      if (port.id === ports.b.id) port.securityGroupIds = ports.a.securityGroupIds
    for (const router of changed.routers)
      router.routes = [{ destination: "10.9.0.0/16", nexthop: "10.0.1.10" }]
    assert.ok((await driver.reconcile(changed)).updated > 0)
    assert.deepEqual(await driver.reconcile(changed), unchanged)

    const gone = await driver.reconcile(nothing)
    assert.ok(gone.removed > 0)
    assert.equal(gone.created, 0)
    assert.deepEqual(await driver.reconcile(nothing), unchanged)
  })

  for (const seed of [1, 2, 3])
    test(`${name}: changes of ports come to the same as telling all (seed ${seed})`, { skip }, async () => {
      const { driver } = await make()
      await using _ = driver
      await driver.reconcile(sampleWant)
      const random = randomFrom(seed)
      let want = sampleWant
      let small = 0
      for (let round = 0; round < 40; round++) {
        const next = changedSomePorts(want, random, round)
        const before = new Map(want.ports.map((port) => [port.id, port]))
        const after = new Set(next.ports.map((port) => port.id))
        const report = await driver.changePorts({
          ports: next.ports.filter((port) => port !== before.get(port.id)),
          gone: want.ports.filter((port) => !after.has(port.id)),
          networks: next.networks,
          subnets: next.subnets,
        })
        if (report) small++
        const whole = await driver.reconcile(next)
        if (report) assert.deepEqual(whole, unchanged, `round ${round}`)
        want = next
      }
      assert.ok(small > 20, `${small} of 40 rounds were small`)
      await driver.reconcile(nothing)
    })

  test(`${name}: calls at once are taken one after the other, the last stays`, { skip }, async () => {
    const { driver } = await make()
    await using _ = driver
    const calls = [sampleWant, nothing, sampleWant, nothing, sampleWant]
    await Promise.all(calls.map((want) => driver.reconcile(want)))
    assert.deepEqual(await driver.reconcile(sampleWant), unchanged)
    await driver.reconcile(nothing)
  })

  test(`${name}: port states begin with the present and follow`, { skip }, async () => {
    const { driver, plug } = await make()
    await using _ = driver
    const unbound = structuredClone(sampleWant)
    for (const port of unbound.ports) port.hostId = null
    await driver.reconcile(unbound)
    const end = new AbortController()
    const seen = new Map<string, boolean>()
    const watching = (async () => {
      for await (const { portId, isUp } of driver.portStates(end.signal)) seen.set(portId, isUp)
    })()
    try {
      await eventually("the present state", () => seen.size === Object.keys(ports).length)
      assert.ok([...seen.values()].every((isUp) => !isUp))
      await driver.reconcile(sampleWant)
      for (const port of Object.values(ports)) await plug(port.id)
      await eventually("all ports to be up", () => [...seen.values()].every((isUp) => isUp))
    } finally {
      end.abort()
      await watching
    }
    await driver.reconcile(nothing)
  })

  test(`${name}: a driver that works is healthy`, { skip }, async () => {
    const { driver } = await make()
    await using _ = driver
    await driver.reconcile(nothing)
    assert.equal(await driver.health(), undefined)
  })
}
