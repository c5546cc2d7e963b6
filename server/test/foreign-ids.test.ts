// No project's id is of any use to another: generated from the routes, for every service. Whatever is added is tried by
// itself; a route or a field that nobody has said anything about fails with what to add.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import {
  type Allowed,
  type ServiceFixture,
  type Side,
  secretName,
  type World,
} from "./foreign-ids/fixture.ts"
import { type Matrix, tryBody, tryHeaders, tryLists, tryPath, Watch } from "./foreign-ids/matrix.ts"
import { type Probe, probes } from "./foreign-ids/routes.ts"
import { makeSide, makeThings, worldOf } from "./foreign-ids/sides.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { foreignIdFixtures } from "./service-cases.ts"

/** In the order in which their things are made. */
const fixtures = await foreignIdFixtures()

let cloud: ServerCloud
let world: World
let victim: Side
let stranger: Side

before(async () => {
  cloud = await startServerCloud({
    overrides: { "blockStorage.quota.volumes": -1, "blockStorage.quota.snapshots": -1 },
  })
  world = worldOf(cloud)
  victim = await makeSide("a", world)
  stranger = await makeSide("b", world)
  for (const side of [victim, stranger]) await makeThings(side, world, fixtures)
})
after(async () => await cloud[Symbol.asyncDispose]())

function matrixOf(fixture: ServiceFixture): Matrix {
  const everybodys = new Set(stranger.things.values())
  const marks = [...victim.things.values()].filter((id) => !everybodys.has(id))
  return {
    world,
    fixture,
    victim,
    stranger,
    marks: [...marks, secretName(victim)],
    findings: [],
    used: new Set<Allowed>(),
  }
}

/** What takes away comes last. */
const order = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
const inOrder = (a: Probe, b: Probe) => order.indexOf(a.method) - order.indexOf(b.method)

test("every API has its fixture", () => {
  const apis = new Set(probes().map((probe) => probe.service))
  assert.deepEqual([...apis].sort(), fixtures.map((fixture) => fixture.service).sort())
})

for (const fixture of fixtures) {
  test(`${fixture.service}: another project's ids are refused, and nothing of it shows or changes`, async () => {
    const matrix = matrixOf(fixture)
    const own = probes()
      .filter((probe) => probe.service === fixture.service)
      .sort(inOrder)
    const watch = new Watch(matrix)
    await watch.begin()
    for (const probe of own) {
      await tryLists(matrix, probe)
      await tryPath(matrix, probe)
      await tryBody(matrix, probe)
      await tryHeaders(matrix, probe)
      await watch.check(probe)
    }
    const unused = fixture.allowed.filter((each) => !matrix.used.has(each))
    const stale = unused.map((each) => `${each.probe} ${each.where}: nothing needs this exception any more`)
    assert.deepEqual([...matrix.findings, ...stale], [])
  })
}
