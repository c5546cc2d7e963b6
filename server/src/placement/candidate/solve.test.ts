import assert from "node:assert/strict"
import { test } from "node:test"
import { type Candidate, type Group, type Question, solve } from "./solve.ts"
import type { Node, World } from "./world.ts"

interface Sketch {
  parent?: string
  has?: Record<string, number>
  traits?: string[]
  aggregates?: string[]
}

function world(sketches: Record<string, Sketch>): World {
  const rootOf = (id: string): string => {
    const parent = sketches[id]?.parent
    return parent === undefined ? id : rootOf(parent)
  }
  return new Map(
    Object.entries(sketches).map(([id, sketch]): [string, Node] => [
      id,
      {
        id,
        parentId: sketch.parent ?? null,
        rootId: rootOf(id),
        traits: new Set(sketch.traits),
        aggregates: new Set(sketch.aggregates),
        rooms: new Map(
          Object.entries(sketch.has ?? {}).map(([name, capacity]) => [
            name,
            { capacity, used: 0, minUnit: 1, maxUnit: capacity, stepSize: 1 },
          ]),
        ),
      },
    ]),
  )
}

const group = (suffix: string, resources: Record<string, number>, more: Partial<Group> = {}): Group => ({
  suffix,
  resources,
  requiredTraits: [],
  forbiddenTraits: [],
  memberOf: [],
  notMemberOf: [],
  inTreeOf: null,
  ...more,
})

function ask(on: World, groups: Group[], more: Partial<Question> = {}): string[] {
  const { candidates } = solve(on, {
    groups,
    isIsolated: false,
    rootRequired: [],
    rootForbidden: [],
    sameSubtrees: [],
    knowsTrees: true,
    limit: null,
    ...more,
  })
  const show = ({ allocations }: Candidate) =>
    [...allocations]
      .map(([id, resources]) => `${id}(${[...resources].map(([name, n]) => `${name}:${n}`).sort()})`)
      .sort()
      .join("+")
  return candidates.map(show).sort()
}

const hosts = world({
  h1: { has: { VCPU: 4, DISK: 10 }, traits: ["FAST"] },
  h2: { has: { VCPU: 2, DISK: 100 }, aggregates: ["A"] },
})

test("hosts with room, traits and aggregates", () => {
  assert.deepEqual(ask(hosts, [group("", { VCPU: 2 })]), ["h1(VCPU:2)", "h2(VCPU:2)"])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 3 })]), ["h1(VCPU:3)"])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 3, DISK: 50 })]), [])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 1 }, { requiredTraits: [["FAST"]] })]), ["h1(VCPU:1)"])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 1 }, { requiredTraits: [["FAST", "SLOW"]] })]), [
    "h1(VCPU:1)",
  ])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 1 }, { forbiddenTraits: ["FAST"] })]), ["h2(VCPU:1)"])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 1 }, { memberOf: [["A"]] })]), ["h2(VCPU:1)"])
  assert.deepEqual(ask(hosts, [group("", { VCPU: 1 }, { notMemberOf: ["A"] })]), ["h1(VCPU:1)"])
  assert.equal(ask(hosts, [group("", { VCPU: 1 })], { limit: 1 }).length, 1)
})

test("a tree gives together what no part has alone; older clients get none of that", () => {
  const tree = world({
    h: { has: { RAM: 8 } },
    n0: { parent: "h", has: { VCPU: 2 } },
    n1: { parent: "h", has: { VCPU: 2 }, traits: ["FAST"] },
  })
  const spread = [group("", { VCPU: 2, RAM: 4 })]
  assert.deepEqual(ask(tree, spread), ["h(RAM:4)+n0(VCPU:2)", "h(RAM:4)+n1(VCPU:2)"])
  assert.deepEqual(ask(tree, spread, { knowsTrees: false }), [])
  const fast = [group("", { VCPU: 2, RAM: 4 }, { requiredTraits: [["FAST"]] })]
  assert.deepEqual(ask(tree, fast), ["h(RAM:4)+n1(VCPU:2)"])
})

test("numbered groups: each from one provider, apart when isolated, never more than there is", () => {
  const nics = world({
    h: {},
    a: { parent: "h", has: { VF: 2 } },
    b: { parent: "h", has: { VF: 1 } },
  })
  const two = [group("1", { VF: 1 }), group("2", { VF: 1 })]
  assert.deepEqual(ask(nics, two), ["a(VF:1)+b(VF:1)", "a(VF:1)+b(VF:1)", "a(VF:2)"])
  assert.deepEqual(ask(nics, two, { isIsolated: true }), ["a(VF:1)+b(VF:1)", "a(VF:1)+b(VF:1)"])
  assert.deepEqual(ask(nics, [...two, group("3", { VF: 2 })]), [])
})

test("same_subtree ties groups to one branch", () => {
  const tree = world({
    h: {},
    n0: { parent: "h", has: { VCPU: 1 }, traits: ["N"] },
    n1: { parent: "h", has: { VCPU: 1 }, traits: ["N"] },
    g0: { parent: "n0", has: { GPU: 1 } },
  })
  const groups = [group("_C", { VCPU: 1 }), group("_G", { GPU: 1 })]
  assert.equal(ask(tree, groups).length, 2)
  assert.deepEqual(ask(tree, groups, { sameSubtrees: [["_C", "_G"]] }), ["g0(GPU:1)+n0(VCPU:1)"])
})

test("shared storage serves the hosts of its aggregates", () => {
  const cloud = world({
    h1: { has: { VCPU: 1 }, aggregates: ["A"] },
    h2: { has: { VCPU: 1, DISK: 5 } },
    nfs: { has: { DISK: 100 }, traits: ["MISC_SHARES_VIA_AGGREGATE"], aggregates: ["A"] },
  })
  assert.deepEqual(ask(cloud, [group("", { VCPU: 1, DISK: 5 })]), [
    "h1(VCPU:1)+nfs(DISK:5)",
    "h2(DISK:5,VCPU:1)",
  ])
  assert.deepEqual(ask(cloud, [group("", { VCPU: 1, DISK: 50 })]), ["h1(VCPU:1)+nfs(DISK:50)"])
  assert.deepEqual(ask(cloud, [group("", { VCPU: 1, DISK: 5 }, { inTreeOf: "h1" })]), [])
})

test("the root's traits can be asked for apart from those of the parts", () => {
  const cloud = world({
    h1: { has: { VCPU: 1 }, traits: ["R"] },
    h2: { has: { VCPU: 1 } },
  })
  assert.deepEqual(ask(cloud, [group("", { VCPU: 1 })], { rootRequired: ["R"] }), ["h1(VCPU:1)"])
  assert.deepEqual(ask(cloud, [group("", { VCPU: 1 })], { rootForbidden: ["R"] }), ["h2(VCPU:1)"])
})
