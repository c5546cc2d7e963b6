import assert from "node:assert/strict"
import { test } from "node:test"
import { gatewayRows, gatewaysOf } from "./gateways.ts"

const hosts = (...names: string[]) => names.map((chassis) => ({ chassis, priority: 1 }))

/** By group: its hosts, best first. */
function orders(gateways: { chassis: string; priority: number }[]): Map<string, string[]> {
  const found = new Map<string, [string, number][]>()
  for (const { table, columns, places } of gatewayRows({ cloudId: "00c0ffee", gateways })) {
    if (table !== "HA_Chassis") continue
    const group = places?.[0]?.id ?? ""
    const member: [string, number] = [String(columns.chassis_name), Number(columns.priority)]
    found.set(group, [...(found.get(group) ?? []), member])
  }
  const best = (members: [string, number][]) => members.sort((one, other) => other[1] - one[1])
  return new Map([...found].map(([group, members]) => [group, best(members).map(([name]) => name)]))
}

test("routers spread over hosts of one priority, and a better one goes first in every group", () => {
  const firsts = new Set([...orders(hosts("h1", "h2", "h3")).values()].map(([first]) => first))
  assert.deepEqual([...firsts].sort(), ["h1", "h2", "h3"])
  for (const order of orders([...hosts("h1", "h2"), { chassis: "h3", priority: 2 }]).values())
    assert.equal(order[0], "h3")
})

test("a host that joins takes over and hands nothing between others", () => {
  const before = orders(hosts("h1", "h2", "h3"))
  for (const [group, order] of orders(hosts("h4", "h3", "h2", "h1")))
    assert.deepEqual(
      order.filter((name) => name !== "h4"),
      before.get(group),
    )
})

test("a router keeps its group, and its group is there", () => {
  const group = gatewaysOf("00000051-0000-4000-8000-000000000051")
  assert.deepEqual(group, gatewaysOf("00000051-0000-4000-8000-000000000051"))
  const rows = gatewayRows({ cloudId: "00c0ffee", gateways: [] })
  assert.ok(rows.some(({ table, id }) => table === group.table && id === group.id))
})
