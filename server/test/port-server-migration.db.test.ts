import assert from "node:assert/strict"
import { cp, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { migrate, schemaDirectory } from "../src/platform/db/migrate.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { openEmptyDatabase } from "./database.ts"

/** The schema as it was before ports knew their servers. */
async function schemaBefore(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "kumoi-schema-"))
  await cp(schemaDirectory, dir, { recursive: true })
  for (const service of await readdir(dir, { withFileTypes: true })) {
    if (!service.isDirectory()) continue
    for (const file of await readdir(join(dir, service.name)))
      if (/^(00[1-9]\d|0[1-9])/.test(file)) await rm(join(dir, service.name, file))
  }
  return dir
}

test("of the ports that there are, those are bound that our verbs bound to a server of their own project", async () => {
  await using database = await openEmptyDatabase()
  const before = await schemaBefore()
  try {
    await migrate(database.connectionString, { directory: before })
  } finally {
    await rm(before, { recursive: true })
  }
  const { pool } = database
  const [network, own, deleted] = [newUuid(), newUuid(), newUuid()]
  await pool.query(
    `insert into network.network (id, project_id, name, mtu, provider_type, segmentation_id)
     values ($1, 'a', 'n', 1400, 'geneve', 1)`,
    [network],
  )
  const server = async (id: string, deletedAt: string | null) =>
    await pool.query(
      `insert into compute.server (id, project_id, user_id, name, hostname, vm_state, flavor_id, flavor, vcpus, ram_mib,
         reservation_id, deleted_at)
       values ($1, 'a', 'u', 's', 's', 'active', '1', '{}', 1, 1, 'r', $2)`,
      [id, deletedAt],
    )
  await server(own, null)
  await server(deleted, "2026-01-01")
  const port = async (p: { project?: string; device: string; owner?: string; index?: number }) => {
    const id = newUuid()
    await pool.query(
      `insert into network.port (id, network_id, project_id, mac_address, device_id, device_owner, server_interface_index)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [id, network, p.project ?? "a", mac(), p.device, p.owner ?? "compute:nova", p.index ?? null],
    )
    return id
  }
  const bound = await port({ device: own, index: 0 })
  const others = [
    await port({ device: own }),
    await port({ device: own, index: 1, project: "b" }),
    await port({ device: own, index: 2, owner: "" }),
    await port({ device: deleted, index: 0 }),
    await port({ device: newUuid(), index: 0 }),
    await port({ device: "text", index: 0 }),
  ]
  const posed = await port({ device: newUuid(), owner: "network:router_interface" })
  await migrate(database.connectionString)

  const { rows } = await pool.query(
    "select id, server_id, server_interface_index as index, device_owner from network.port",
  )
  const of = (id: string) => rows.find((row) => row.id === id)
  assert.deepEqual([of(bound).server_id, of(bound).index], [own, 0])
  assert.deepEqual(
    others.map((id) => [of(id).server_id, of(id).index]),
    others.map(() => [null, null]),
  )
  assert.equal(of(posed).device_owner, "")
})

let macs = 0
const mac = () => `fa:16:3e:00:00:${(macs++).toString(16).padStart(2, "0")}`
