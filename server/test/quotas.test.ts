// What services declare of their quotas (`quota` of `Service`): it counts what there is, and finds it by an index.
import assert from "node:assert/strict"
import { test } from "node:test"
import { type RawBuilder, sql } from "kysely"
import { quotaWith } from "../src/block-storage/quota/of-types.ts"
import { computeQuota } from "../src/compute/quota/resources.ts"
import { changeServer, insertServers } from "../src/compute/server/store.ts"
import { newServer } from "../src/compute/testing/new-server.ts"
import { imageQuota } from "../src/image/quota.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type Config, loadConfig } from "../src/platform/config/config.ts"
import { transact } from "../src/platform/db/database.ts"
import { enforceQuota, getLimits, readQuota, setLimits } from "../src/quota/index.ts"
import { services } from "../src/services.ts"
import { openTestDatabase, type TestDatabase } from "./database.ts"

const base = { dataDir: "/nowhere", publicUrl: "http://127.0.0.1", region: "RegionOne", host: "h" } as Config
const ctx = { config: loadConfig({ env: {}, base }) }
const quotas = services.flatMap(({ quota }) => quota ?? [])

async function planOf({ db }: TestDatabase, query: RawBuilder<unknown>): Promise<string> {
  return await transact(db, async (tx) => {
    await sql`set local enable_seqscan = off`.execute(tx)
    const { rows } = await sql<{ "QUERY PLAN": string }>`explain ${query}`.execute(tx)
    return rows.map((row) => row["QUERY PLAN"]).join("\n")
  })
}

test("each service has a name of its own, and each counter an index of its table", async () => {
  assert.equal(new Set(quotas.map((quota) => quota.service)).size, quotas.length)
  await using database = await openTestDatabase()
  // Each volume type has its own, made when somebody asks.
  const ofType = quotaWith(["00000000-0000-0000-0000-000000000000"])
  for (const { service, resources } of [...quotas, ofType])
    for (const [resource, { use }] of Object.entries(resources)) {
      if (!use) continue
      const { table, where, within = "project_id", userColumn } = use.rows
      const column = await planOf(
        database,
        sql`select ${use.aggregate} from ${table} where ${sql.id(within)} = '00000000-0000-0000-0000-000000000000'
          ${where ? sql`and ${where}` : sql``} ${userColumn ? sql`and ${sql.id(userColumn)} = 'u'` : sql``}`,
      )
      assert.doesNotMatch(column, /Seq Scan/, `${service} ${resource}`)
    }
})

test("use of a project and of a user in it is read in one statement, of what is there and not deleted", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const made = await transact(db, (tx) =>
    insertServers(tx, [newServer(), newServer(), newServer({ projectId: "p2" })]),
  )
  const used = async (projectId: string, userId: string | null = null) => {
    const { instances, cores, ram, key_pairs } = (
      await readQuota(ctx, db, computeQuota, { projectId, userId })
    ).used
    return [instances, cores, ram, key_pairs]
  }
  assert.deepEqual(await used("p1"), [2, 4, 1024, 0])
  const [first, second] = made
  assert.ok(first && second)
  assert.deepEqual(await used("p1", first.userId), [2, 4, 1024, 0])
  assert.deepEqual(await used("p1", "nobody"), [0, 0, 0, 0])
  await changeServer(db, second.id, second.generation, { isDeletedNow: true })
  assert.deepEqual(await used("p1"), [1, 2, 512, 0])
  assert.deepEqual(await used("none"), [0, 0, 0, 0])
})

test("what is counted in bytes is limited in MiB", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await sql`insert into image.image (id, project_id, status, size_bytes, visibility, created_at, updated_at)
    values (gen_random_uuid(), 'p1', 'active', ${3 * 1024 * 1024 - 1}, 'private', now(), now()),
      (gen_random_uuid(), 'p1', 'importing', 1024, 'private', now(), now()),
      (gen_random_uuid(), 'p1', 'killed', 99999999, 'private', now(), now())`.execute(db)
  // In one store each; an image at an address takes no room.
  await sql`insert into image.location (image_id, position, store, file, url, created_at)
    select id, 0, 'file', case status when 'active' then 'f' end,
      case status when 'active' then null else 'http://x/' end, now() from image.image`.execute(db)
  const { used, limits } = await readQuota(ctx, db, imageQuota, { projectId: "p1" })
  assert.deepEqual(used, {
    image_count_total: 2,
    image_size_total: 2,
    image_stage_total: 0,
    image_count_uploading: 1,
  })
  // Nobody registered any: what the configuration says.
  assert.equal(limits.image_size_total, -1)
})

test("a limit of the user's own holds beside the project's", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await transact(db, (tx) => insertServers(tx, [newServer()]))
  const owner = { projectId: "p1", userId: newServer().userId }
  await transact(db, (tx) => setLimits(ctx, tx, computeQuota, owner, { instances: 1 }))
  await transact(db, (tx) => setLimits(ctx, tx, computeQuota, { projectId: "p1" }, { cores: -1 }))
  assert.equal((await getLimits(ctx, db, computeQuota, owner)).instances, 1)
  assert.equal((await getLimits(ctx, db, computeQuota, { projectId: "p1" })).instances, 10)
  const ask = (userId: string) =>
    transact(db, (tx) => enforceQuota(ctx, tx, computeQuota, { ...owner, userId, add: { instances: 1 } }))
  await ask("another")
  await assert.rejects(ask(owner.userId), {
    detail: { shortages: [{ resource: "instances", asked: 1, used: 1, limit: 1 }] },
  })
})

test("a limit that is lowered while a request waits for the lock holds for that request", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  const project = { projectId: "p1" }
  const { promise: isSet, resolve: set } = Promise.withResolvers<void>()
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>()
  const lowering = transact(db, async (tx) => {
    await setLimits(ctx, tx, computeQuota, project, { instances: 0 })
    set()
    await mayCommit
  })
  await isSet
  const asking = transact(db, (tx) =>
    enforceQuota(ctx, tx, computeQuota, { ...project, add: { instances: 1 } }),
  )
  await eventually("the request to wait for the lock", async () => {
    const { rows } = await sql`select from pg_locks l join pg_database d on d.oid = l.database
      where not l.granted and l.locktype = 'advisory' and d.datname = current_database()`.execute(db)
    return rows.length > 0
  })
  commit()
  await lowering
  await assert.rejects(asking, { code: "quota.exceeded" })
})
