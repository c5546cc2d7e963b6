// kill -9 before and after every log write, forward and unwinding; and a worker that is paused beyond its lease.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { testPlatform } from "../testing/platform.ts"
import { World, worldSaga, worldSteps } from "../testing/world.ts"

interface ChildSpec {
  connectionString: string
  resource: string
  failAt?: string
  killAt?: number
  stopBefore?: string
}

const childFile = join(import.meta.dirname, "../testing/crash-child.ts")

function startChild(spec: ChildSpec): ChildProcess {
  const { connectionString, resource, failAt = "-", killAt = "-", stopBefore = "-" } = spec
  const args = [childFile, connectionString, resource, failAt, String(killAt), stopBefore]
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  return await new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })))
}

async function openWorld() {
  const database = await openTestDatabase()
  const world = new World(database.connectionString)
  await world.create()
  return {
    database,
    world,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Kills a child at every moment, then lets one healthy worker finish what they left. Returns the moments. */
async function killEverywhere(failAt: string | undefined, expected: string[]): Promise<number> {
  await using opened = await openWorld()
  const { database, world } = opened
  const resources: string[] = []
  for (let moment = 0; ; moment++) {
    const resource = `r${moment}`
    resources.push(resource)
    const child = startChild({
      connectionString: database.connectionString,
      resource,
      killAt: moment,
      ...(failAt === undefined ? {} : { failAt }),
    })
    const end = await endOf(child)
    if (end.signal === "SIGKILL") {
      // Out of sight of the next child, which would take it up and have its moments counted.
      await database.pool.query(
        "update engine.saga set run_at = now() + interval '1 h' where ended_at is null",
      )
      continue
    }
    // The first that was not killed has gone past the last moment.
    assert.equal(end.code, 0)
    break
  }
  await database.pool.query("update engine.saga set run_at = now() where ended_at is null")
  const platform = testPlatform(database.db)
  await using _working = await platform.sagas.work(platform, [worldSaga(world)])
  for (const resource of resources) {
    const { rows } = await database.pool.query("select id from engine.saga where resource_id = $1", [
      resource,
    ])
    const result = await platform.sagas.waitForSaga(database.db, rows[0].id)
    assert.equal(result.state, failAt === undefined ? "done" : "unwound", `${resource}: ${result.lastError}`)
    assert.deepEqual(await world.things(resource), expected, resource)
    const nodes = failAt === undefined ? ["port"] : ["port", "undo port", "unwound"]
    assert.deepEqual(await world.notes(resource), nodes, resource)
  }
  return resources.length - 1
}

test("SIGKILL before and after every log write, forward", async () => {
  // Four steps: the end of each and the start of the next are one write.
  assert.equal(await killEverywhere(undefined, [...worldSteps].sort()), 4 * 2)
})

test("SIGKILL before and after every log write, unwinding", async () => {
  // Three steps done, one failed, four undone, and the end.
  assert.equal(await killEverywhere("finish", ["given-up"]), (3 + 1 + 4 + 1) * 2)
})

test("a worker that sleeps beyond its lease brings nothing back when it wakes", async () => {
  await using opened = await openWorld()
  const { database, world } = opened
  const child = startChild({
    connectionString: database.connectionString,
    resource: "r",
    failAt: "machine",
    stopBefore: "machine",
  })
  const ended = endOf(child)
  try {
    await eventually("the worker to pause", () => stateOf(child.pid) === "T")
    assert.deepEqual(await world.things("r"), ["disk", "port"])
    const platform = testPlatform(database.db)
    await using _working = await platform.sagas.work(platform, [worldSaga(world)])
    const { rows } = await database.pool.query("select id from engine.saga where resource_id = 'r'")
    const result = await platform.sagas.waitForSaga(database.db, rows[0].id)
    assert.equal(result.state, "unwound")
    assert.ok(result.fence > 1)
    const before = await database.pool.query("select node, kind, fence from engine.saga_event order by 1, 2")
    child.kill("SIGCONT")
    assert.equal((await ended).code, 0)
    // Its command was refused by the world, and its word by the log.
    assert.ok((await world.refusals()) > 0)
    assert.deepEqual(await world.things("r"), ["given-up"])
    const after = await database.pool.query("select node, kind, fence from engine.saga_event order by 1, 2")
    assert.deepEqual(after.rows, before.rows)
  } finally {
    child.kill("SIGKILL")
    await ended
  }
})

function stateOf(pid: number | undefined): string | undefined {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8")
  return text.slice(text.lastIndexOf(")") + 2)[0]
}
