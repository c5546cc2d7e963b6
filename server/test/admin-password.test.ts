// adminPass: what an answer says is what the guest gets, sealed on the way, and not for ever.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openstackFiles } from "../src/compute/metadata/files.ts"
import { machineSpec } from "../src/compute/metadata/machine-spec.ts"
import { metadataFacts } from "../src/compute/metadata/read-facts.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let it: ServerCloud
before(async () => {
  it = await startServerCloud()
})
after(async () => await it[Symbol.asyncDispose]())

async function passwordInGuest(serverId: string): Promise<string | undefined> {
  const { platform } = it.cloud.cloud
  const server = await selectServer(platform.db, serverId)
  assert.ok(server)
  const files = openstackFiles(await metadataFacts(platform, server), "latest")
  return JSON.parse(files["meta_data.json"] ?? "").admin_pass
}

async function passwordOnDrive(serverId: string): Promise<string | undefined> {
  const { platform } = it.cloud.cloud
  const row = await selectServer(platform.db, serverId)
  assert.ok(row)
  const { configDrive } = await machineSpec(platform, row, [])
  const file = Buffer.from(configDrive?.["openstack/latest/meta_data.json"] ?? "", "base64")
  return JSON.parse(file.toString()).admin_pass
}

const server = () => ({ name: "vm", imageRef: it.imageId, flavorRef: it.flavorId, networks: "none" as const })

test("creation, rebuild and rescue: the guest reads what the answer said", async () => {
  const made = await it.call("POST", "/servers", { server: { ...server(), config_drive: true } })
  assert.equal(made.status, 202, JSON.stringify(made.body))
  const { id, adminPass } = made.body.server
  assert.match(adminPass, /^\S{8,}$/)
  await it.reaches(id, "ACTIVE")
  assert.equal(await passwordInGuest(id), adminPass)
  assert.equal(await passwordOnDrive(id), adminPass)

  const chosen = 'Se"cret\\ ünd $more'
  const rebuilt = await it.act(id, { rebuild: { imageRef: it.imageId, adminPass: chosen } })
  assert.equal(rebuilt.body.server.adminPass, chosen)
  await it.reaches(id, "ACTIVE")
  assert.equal(await passwordInGuest(id), chosen)

  const rescued = await it.act(id, { rescue: null })
  await it.reaches(id, "RESCUE")
  assert.notEqual(rescued.body.adminPass, chosen)
  assert.equal(await passwordInGuest(id), rescued.body.adminPass)

  await it.call("DELETE", `/servers/${id}`)
  await it.isGone(id)
  const { rows } = await sql`select 1 from compute.admin_password where server_id = ${id}`.execute(
    it.cloud.cloud.platform.db,
  )
  assert.equal(rows.length, 0, "gone with the server")
})

test("it stands nowhere in clear, and goes after its time", async () => {
  const adminPass = "a-very-own-password"
  const made = await it.call("POST", "/servers", { server: { ...server(), adminPass } })
  const { id } = made.body.server
  await it.reaches(id, "ACTIVE")
  assert.equal(await passwordInGuest(id), adminPass)
  const { db } = it.cloud.cloud.platform
  const tables = await sql<{
    name: string
  }>`select quote_ident(schemaname) || '.' || quote_ident(tablename) as name
    from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`.execute(db)
  for (const { name } of tables.rows) {
    const found = await sql`select 1 from ${sql.raw(name)} t where t::text like ${`%${adminPass}%`}`.execute(
      db,
    )
    assert.equal(found.rows.length, 0, name)
  }
  await sql`update compute.admin_password set made_at = now() - interval '2 hours' where server_id = ${id}`.execute(
    db,
  )
  assert.equal(await passwordInGuest(id), undefined)
  await it.create()
  const { rows } = await sql`select 1 from compute.admin_password where server_id = ${id}`.execute(db)
  assert.equal(rows.length, 0, "the next one takes it away")
})

test("a password has a bound", async () => {
  const made = await it.call("POST", "/servers", { server: { ...server(), adminPass: "x".repeat(256) } })
  assert.equal(made.status, 400)
})
