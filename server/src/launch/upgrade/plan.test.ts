import assert from "node:assert/strict"
import { test } from "node:test"
import type { Migration } from "../../platform/db/migrate.ts"
import type { Program } from "../../platform/program/program.ts"
import { type PlanFacts, planUpgrade } from "./plan.ts"
import { renderPlan, type ShownPlan } from "./render.ts"

const program = (version: string, schema: number, oldest: number, newest: number): Program => ({
  ...{ version, schema },
  protocol: { oldest, newest },
})
const migration = (name: string, programsFrom: number | null = null): Migration => ({
  ...{ name, programsFrom, sql: "", checksum: name },
})
const applied = (name: string, minimumProgram: number | null = null) => ({
  ...{ name, minimumProgram, checksum: name },
})

const facts: PlanFacts = {
  from: program("0.1.0", 1, 1, 2),
  to: program("0.2.0", 2, 2, 3),
  schema: {
    applied: [applied("a/0001_x")],
    migrations: [migration("a/0001_x"), migration("a/0002_y"), migration("a/0003_z", 1)],
  },
  hosts: [{ name: "host2", version: "0.1.0", protocol: { oldest: 1, newest: 2 } }],
}
const shown = (plan: ReturnType<typeof planUpgrade>): ShownPlan => ({
  ...plan,
  ...{
    what: "cloud",
    fromTree: "/old",
    toTree: "/new",
    startedBy: "detach",
    canLeave: true,
    ownHosts: ["host1"],
  },
})

test("what was not applied runs, and the way back is open when that leaves the program of before what it uses", () => {
  const plan = planUpgrade(facts)
  assert.deepEqual(
    plan.migrations.map(({ name, kind }) => [name, kind]),
    [
      ["a/0002_y", "expand"],
      ["a/0003_z", "contract"],
    ],
  )
  assert.deepEqual([plan.noWayBack, plan.problems, plan.unknownMigrations], [null, [], []])
  const text = renderPlan(shown(plan))
  assert.match(text, /the way back +possible: \/old\/kumoi upgrade\n/)
  assert.match(text, /a\/0003_z +contract \(programs from 1\)/)
  assert.match(text, /host1 +\(this machine\).*\n +host2 +0\.1\.0 \(protocol 1 to 2\) +goes on/)
})

test("a contraction for later programs than the one of before closes the way back", () => {
  const migrations = [migration("a/0001_x"), migration("a/0003_z", 2)]
  const plan = planUpgrade({ ...facts, schema: { applied: [applied("a/0001_x")], migrations } })
  assert.match(plan.noWayBack ?? "", /a\/0003_z .*from 2 on, and 0\.1\.0 has 1/)
  assert.deepEqual(plan.problems, [])
  assert.match(renderPlan(shown(plan)), /the way back +only by restoring a backup/)
})

test("a host that the new program would refuse is named, and so is one of before versions were told", () => {
  const hosts = [
    ...facts.hosts,
    { name: "host3", version: null, protocol: null },
    { name: "host4", version: "0.4.0", protocol: { oldest: 4, newest: 5 } },
  ]
  const { problems } = planUpgrade({ ...facts, hosts })
  assert.equal(problems.length, 2)
  assert.match(problems[0] ?? "", /^host3: .*Upgrade the host/)
  assert.match(problems[1] ?? "", /^host4: .*Upgrade the cloud/)
})

test("back to a program of before: what was only added stays, what was taken away for it keeps it out", () => {
  const back = { ...facts, from: facts.to, to: facts.from }
  const migrations = [migration("a/0001_x")]
  const added = planUpgrade({
    ...back,
    schema: { applied: [applied("a/0001_x"), applied("a/0002_y"), applied("a/0003_z", 1)], migrations },
  })
  assert.deepEqual([added.problems, added.unknownMigrations], [[], ["a/0002_y", "a/0003_z"]])
  const taken = planUpgrade({
    ...back,
    schema: { applied: [applied("a/0001_x"), applied("a/0004_w", 2)], migrations },
  })
  assert.match(taken.problems.join(), /schema of a newer program: after migration a\/0004_w/)
})
