import assert from "node:assert/strict"
import { test } from "node:test"
import { networkDriverContract } from "../testing/contract.ts"
import { ports, sampleWant } from "../testing/sample-want.ts"
import { tellAll } from "../testing/tell-all.ts"
import { FakeNetworkDriver } from "./fake-driver.ts"

networkDriverContract("fake", async () => ({ driver: new FakeNetworkDriver(), plug: async () => {} }))

test("a told failure changes nothing and passes", async () => {
  await using driver = new FakeNetworkDriver()
  driver.failNext(1)
  assert.match((await driver.health()) ?? "", /told to fail/)
  await assert.rejects(tellAll(driver, sampleWant), /told to fail/)
  assert.equal(driver.want.ports.length, 0)
  assert.ok((await tellAll(driver, sampleWant)).created > 0)
})

test("a port that is held back stays down", async () => {
  await using driver = new FakeNetworkDriver()
  driver.holdBack(ports.a.id, true)
  await tellAll(driver, sampleWant)
  const end = new AbortController()
  const states = driver.portStates(end.signal)[Symbol.asyncIterator]()
  const first = [await states.next(), await states.next(), await states.next()]
  const isUp = new Map(first.map(({ value }) => [value.portId, value.isUp]))
  assert.equal(isUp.get(ports.a.id), false)
  assert.equal(isUp.get(ports.b.id), true)
  driver.holdBack(ports.a.id, false)
  assert.deepEqual((await states.next()).value, { portId: ports.a.id, isUp: true })
  end.abort()
  assert.equal((await states.next()).done, true)
})
