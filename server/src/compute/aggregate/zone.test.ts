import assert from "node:assert/strict"
import { test } from "node:test"
import { changedMetadata, hostChangeRefusal, zoneChangeRefusal } from "./zone.ts"

const aggregate = (zone: string | null = null) => ({ name: "agg", zone })
const facts = (servers: number, ...otherZones: string[]) => ({ servers, otherZones })

test("null takes a key away, others stay", () => {
  assert.deepEqual(changedMetadata({ a: "1", b: "2" }, { a: null, c: "3", d: null }), { b: "2", c: "3" })
})

test("a zone may change while no server and no other aggregate forbids it", () => {
  const to = (zone: string | null) => ({ availability_zone: zone })
  assert.equal(zoneChangeRefusal(aggregate(), to("z"), facts(0)), null)
  assert.equal(zoneChangeRefusal(aggregate(), to("z"), facts(0, "z")), null)
  assert.match(zoneChangeRefusal(aggregate(), to("z"), facts(0, "y")) ?? "", /already in .* y/)
  assert.match(zoneChangeRefusal(aggregate(), to("z"), facts(1)) ?? "", /contain instances/)
  assert.equal(zoneChangeRefusal(aggregate("z"), to("z"), facts(1)), null)
  assert.match(zoneChangeRefusal(aggregate("z"), to(null), facts(0)) ?? "", /empty/)
  assert.match(zoneChangeRefusal(aggregate("z"), to(""), facts(0)) ?? "", /empty/)
  assert.equal(zoneChangeRefusal(aggregate("z"), { other: "x" }, facts(9, "y")), null)
})

test("a host joins and leaves as long as its servers keep their zone", () => {
  assert.equal(hostChangeRefusal(aggregate(), "add", facts(9, "y")), null)
  assert.equal(hostChangeRefusal(aggregate("z"), "add", facts(0)), null)
  assert.match(hostChangeRefusal(aggregate("z"), "add", facts(0, "y")) ?? "", /already in/)
  assert.match(hostChangeRefusal(aggregate("z"), "add", facts(2)) ?? "", /would change to 'z'.* 2 instance/)
  assert.equal(hostChangeRefusal(aggregate("z"), "add", facts(2, "z")), null)
  assert.match(hostChangeRefusal(aggregate("z"), "remove", facts(1)) ?? "", /would change from 'z'/)
  assert.equal(hostChangeRefusal(aggregate("z"), "remove", facts(1, "z")), null)
  assert.equal(hostChangeRefusal(aggregate("z"), "remove", facts(0)), null)
})
