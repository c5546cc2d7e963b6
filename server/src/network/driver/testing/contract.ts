// What every network driver promises, as one suite that each of them runs.
import assert from "node:assert/strict"
import { test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import type { NetworkDriver } from "../network-driver.ts"
import { nothing } from "../want.ts"
import { changedALittle, randomFrom, randomWant, tellDifferences } from "./random-want.ts"
import { ports, sampleWant } from "./sample-want.ts"
import { tellAll } from "./tell-all.ts"

export interface DriverUnderTest {
  driver: NetworkDriver
  /** Does what a host does once the port's machine is there. */
  plug(portId: string): Promise<void>
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
    assert.deepEqual(await tellAll(driver, structuredClone(nothing)), await tellAll(driver, nothing))
    assert.deepEqual(await tellAll(driver, nothing), unchanged)
    const made = await tellAll(driver, sampleWant)
    assert.ok(made.created > 0)
    assert.equal(made.removed, 0)
    assert.deepEqual(await tellAll(driver, structuredClone(sampleWant)), unchanged)

    const changed = structuredClone(sampleWant)
    for (const port of changed.ports)
      if (port.id === ports.b.id) port.securityGroupIds = ports.a.securityGroupIds
    for (const router of changed.routers)
      router.routes = [{ destination: "10.9.0.0/16", nexthop: "10.0.1.10" }]
    assert.ok((await tellAll(driver, changed)).updated > 0)
    assert.deepEqual(await tellAll(driver, changed), unchanged)

    const gone = await tellAll(driver, nothing)
    assert.ok(gone.removed > 0)
    assert.equal(gone.created, 0)
    assert.deepEqual(await tellAll(driver, nothing), unchanged)
  })

  for (const seed of [1, 2, 3, 4])
    test(`${name}: what differs, told in parts, comes to the same as telling all (seed ${seed})`, {
      skip,
    }, async () => {
      const { driver } = await make()
      await using _ = driver
      const random = randomFrom(seed)
      let want = nothing
      for (let round = 0; round < 40; round++) {
        const next = random(3) === 0 ? randomWant(random) : changedALittle(want, random)
        await tellDifferences(driver, want, next, random)
        assert.deepEqual(await tellAll(driver, next), unchanged, `round ${round}`)
        want = next
      }
      await tellDifferences(driver, want, nothing, random)
      assert.deepEqual(await tellAll(driver, nothing), unchanged, "nothing is left")
    })

  test(`${name}: calls at once are taken one after the other, the last stays`, { skip }, async () => {
    const { driver } = await make()
    await using _ = driver
    const calls = [sampleWant, nothing, sampleWant, nothing, sampleWant]
    await Promise.all(calls.map((want) => tellAll(driver, want)))
    assert.deepEqual(await tellAll(driver, sampleWant), unchanged)
    await tellAll(driver, nothing)
  })

  test(`${name}: port states begin with the present and follow`, { skip }, async () => {
    const { driver, plug } = await make()
    await using _ = driver
    const unbound = structuredClone(sampleWant)
    for (const port of unbound.ports) port.hostId = null
    await tellAll(driver, unbound)
    const end = new AbortController()
    const seen = new Map<string, boolean>()
    const watching = (async () => {
      for await (const { portId, isUp } of driver.portStates(end.signal)) seen.set(portId, isUp)
    })()
    try {
      await eventually("the present state", () => seen.size === Object.keys(ports).length)
      assert.ok([...seen.values()].every((isUp) => !isUp))
      await tellAll(driver, sampleWant)
      for (const port of Object.values(ports)) await plug(port.id)
      await eventually("all ports to be up", () => [...seen.values()].every((isUp) => isUp))
    } finally {
      end.abort()
      await watching
    }
    await tellAll(driver, nothing)
  })

  test(`${name}: a driver that works is healthy`, { skip }, async () => {
    const { driver } = await make()
    await using _ = driver
    await tellAll(driver, nothing)
    assert.equal(await driver.health(), undefined)
  })
}
