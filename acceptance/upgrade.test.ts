// One program takes a cloud over from another, and hands it back. Programs of other ages are this one with changes.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { AskingClient } from "./asking.ts"
import { eventually, run, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"
import { copyTree, type Tree } from "./trees.ts"

const own = resolve(import.meta.dirname, "..")
const numbersFile = "server/program.json"

interface Plan {
  from: { version: string; schema: number }
  to: { version: string; schema: number }
  migrations: { name: string; kind: string }[]
  unknownMigrations: string[]
  hosts: { name: string; problem: string | null }[]
  noWayBack: string | null
  problems: string[]
}

describe("an upgrade", () => {
  let cloud: TestCloud
  const trees: Tree[] = []

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
  })
  after(async () => {
    await cloud?.[Symbol.asyncDispose]()
    for (const tree of trees) await tree[Symbol.asyncDispose]()
  })

  /** This program under another version, with these migrations more, and these numbers. */
  function otherProgram(version: string, files: Record<string, string>, numbers: object = {}): string {
    const tree = copyTree()
    trees.push(tree)
    const manifest = JSON.parse(readFileSync(join(tree.path, "package.json"), "utf8"))
    writeFileSync(join(tree.path, "package.json"), JSON.stringify({ ...manifest, version }))
    const said = JSON.parse(readFileSync(join(tree.path, numbersFile), "utf8"))
    writeFileSync(join(tree.path, numbersFile), JSON.stringify({ ...said, ...numbers }))
    for (const [file, text] of Object.entries(files)) writeFileSync(join(tree.path, file), text)
    return tree.path
  }

  /** As its operator says it, from the directory of the new program. */
  const upgrade = (tree: string, ...more: string[]) =>
    run(join(tree, "kumoi"), ["upgrade", "--data", cloud.dataDir, ...more], {
      ...{ timeoutMs: 300_000, isChecked: false },
    })
  const planFor = async (tree: string): Promise<Plan> =>
    JSON.parse((await upgrade(tree, "--dry-run", "--json")).stdout)
  const versionNow = async () => {
    const { cloudHosts } = JSON.parse((await cloud.kumoi("host", "list", "--json")).stdout)
    return cloudHosts[0].version as string
  }
  const expansion = {
    "server/schema/quota/9001_more.sql": "create table quota.more (id uuid primary key);\n",
  }

  test("to a program that adds to the schema, and back: no request fails, servers and engines go on", async () => {
    const session = await Session.open(cloud, "demo")
    const id = await session.createServer({ name: "stays", networks: "none" })
    await session.untilStatus(id, "ACTIVE")
    const versionBefore = await versionNow()
    const newer = otherProgram("7.0.0", expansion)
    const plan = await planFor(newer)
    assert.deepEqual(plan.migrations, [{ name: "quota/9001_more", programsFrom: null, kind: "expand" }])
    assert.deepEqual([plan.noWayBack, plan.problems, plan.to.version], [null, [], "7.0.0"])
    assert.equal(plan.from.version, versionBefore)
    const { stdout } = await upgrade(newer, "--dry-run")
    assert.match(stdout, /Back up before: .*kumoi backup/)
    assert.match(stdout, /Migrations to run: 1\n.*\n +quota\/9001_more +expand/)
    assert.match(stdout, new RegExp(`the way back +possible: ${own}/kumoi upgrade`))
    const client = new AskingClient(session, [
      ["GET", "/compute/v2.1/servers/detail"],
      ["PUT", `/compute/v2.1/servers/${id}/metadata/key`, { meta: { key: "value" } }],
      ["GET", "/network/v2.0/networks"],
      ["GET", "/volume/v3/volumes"],
    ])
    await eventually("answers", async () => client.asked.answers > 4)
    const there = await upgrade(newer)
    assert.equal(there.exitCode, 0, there.stdout + there.stderr)
    assert.match(there.stdout, /7\.0\.0 has taken over/)
    await eventually("its own host to say so", async () => (await versionNow()) === "7.0.0")
    assert.equal((await cloud.component("postgres"))?.state, "running")
    assert.equal((await upgrade(newer)).stdout, "7.0.0 runs already.\n")
    const back = await planFor(own)
    assert.deepEqual([back.unknownMigrations, back.problems], [["quota/9001_more"], []])
    const again = await upgrade(own)
    assert.equal(again.exitCode, 0, again.stdout + again.stderr)
    await eventually("its own host to say so", async () => (await versionNow()) === versionBefore)
    const asked = await client.stop()
    process.stdout.write(`# ${JSON.stringify(asked)}\n`)
    assert.deepEqual(asked.failures, [])
    assert.ok(asked.retries > 0, "the client has met both restarts")
    const server = await session.server(id)
    assert.equal(server.status, "ACTIVE")
    assert.equal(server["OS-EXT-STS:power_state"], 1)
  })

  test("without a way back is said to be so, and done only when that is wanted; too old a program is refused", async () => {
    const contraction = "-- contract: programs from 90\ncreate table quota.less (id uuid primary key);\n"
    const newer = otherProgram("9.0.0", { "server/schema/quota/9002_less.sql": contraction }, { schema: 90 })
    const plan = await planFor(newer)
    assert.deepEqual(plan.migrations, [{ name: "quota/9002_less", programsFrom: 90, kind: "contract" }])
    assert.match(plan.noWayBack ?? "", /quota\/9002_less .*programs from 90/)
    const refused = await upgrade(newer)
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /no way back: after quota\/9002_less.*backup.*--no-way-back/)
    const { exitCode, stdout, stderr } = await upgrade(newer, "--no-way-back")
    assert.equal(exitCode, 0, stdout + stderr)
    const back = await upgrade(own)
    assert.equal(back.exitCode, 1)
    assert.match(back.stderr, /schema of a newer program: after migration quota\/9002_less/)
    assert.equal((await upgrade(own, "--dry-run")).exitCode, 1)
  })

  test("to a program that does not start ends with the one of before", async () => {
    const session = await Session.open(cloud, "demo")
    const [{ id }] = (await session.get("/compute/v2.1/servers")).servers
    const running = await versionNow()
    const broken = otherProgram(
      "10.0.0",
      { "server/schema/quota/9002_less.sql": "-- contract: programs from 90\nselect 1;\n" },
      { schema: 90 },
    )
    const engine = (await cloud.component("postgres"))?.pid
    const { exitCode, stdout } = await upgrade(broken)
    assert.equal(exitCode, 1)
    assert.match(stdout, new RegExp(`10\\.0\\.0 did not start.*${running.replaceAll(".", "\\.")} goes on`))
    assert.equal(await versionNow(), running)
    assert.equal((await cloud.component("postgres"))?.pid, engine, "the engine went on")
    assert.equal((await session.server(id)).status, "ACTIVE")
  })

  test("nothing that runs, or no program, is said to be so", async () => {
    const none = await upgrade(own, "--to", "/tmp", "--dry-run")
    assert.match(none.stderr, /--to \/tmp: there is no program/)
    const stopped = await run(join(own, "kumoi"), ["upgrade", "--data", join(cloud.dataDir, "none")], {
      isChecked: false,
    })
    assert.equal(stopped.exitCode, 3)
    assert.match(stopped.stderr, /not running/)
  })
})
