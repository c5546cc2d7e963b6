// Data of backups over the door: what a joined host sends and fetches, and what it may not.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { after, before, test } from "node:test"
import { doorHeaders, doorPaths } from "../src/agent/door-protocol.ts"
import { fetchFile, sendFile } from "../src/agent/volumes/backup-data.ts"
import type { BackupStore } from "../src/agent/volumes/backup-store.ts"
import { backupTicket } from "../src/block-storage/backup/ticket.ts"
import { doorBackupStore } from "../src/launch/joined/door-backup-store.ts"
import type { DoorClient } from "../src/launch/joined/door-client.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { HostsCloud } from "./hosts-cloud.ts"

let at: HostsCloud
let client: DoorClient
let store: BackupStore
const host = "host2"
const { signal } = new AbortController()
const chunkBytes = 4_096
const bytesMost = 2 ** 30

before(async () => {
  at = await HostsCloud.start()
  client = at.clientOf(await at.joinAs(host))
  store = doorBackupStore(client)
})
after(async () => {
  client?.[Symbol.dispose]()
  await at?.[Symbol.asyncDispose]()
})

const ticketOf = (dataId: string, verb: "read" | "write", forHost = host) =>
  backupTicket(at.cloud.cloud.platform, { host: forHost, dataId, verb, chunkBytes }, 60_000)

/** As the operation and its saga leave it before the host begins. */
async function newBackup(parentId: string | null = null): Promise<{ id: string; dataId: string }> {
  const { db } = at.cloud.database
  const [id, dataId] = [newUuid(), newUuid()]
  await db.insertInto("block_storage.backup_data").values({ id: dataId, container: "c" }).execute()
  await db
    .insertInto("block_storage.backup")
    .values({
      ...{ id, project_id: "p", user_id: "u", volume_id: newUuid(), size_gib: 1, status: "creating" },
      ...{ container: "c", availability_zone: "nova", data_id: dataId, parent_id: parentId },
      data_at: new Date(),
      volume_facts: { metadata: {}, imageMetadata: null, isBootable: false },
    })
    .execute()
  return { id, dataId }
}

test("a host sends a backup and one upon it, and another fetches it whole", async () => {
  const path = join(at.scratch, "volume")
  const data = Buffer.alloc(20 * chunkBytes + 5)
  data.write("one", 0)
  data.write("two", 19 * chunkBytes)
  const send = async ({ dataId }: { dataId: string }) => {
    writeFileSync(path, data)
    const access = { dataId, ticket: ticketOf(dataId, "write") }
    await sendFile(path, { store, access, chunkBytes, signal })
  }
  const first = await newBackup()
  await send(first)
  data.write("three", 7 * chunkBytes)
  const second = await newBackup(first.id)
  await send(second)
  const counts = await at.cloud.database.db
    .selectFrom("block_storage.backup_data")
    .select(["id", "object_count", "is_whole"])
    .execute()
  const countOf = (id: string) => counts.find((each) => each.id === id)?.object_count
  assert.deepEqual([countOf(first.dataId), countOf(second.dataId)].map(Number), [2, 1])
  assert.ok(counts.every((each) => each.is_whole))
  const to = join(at.scratch, "restored")
  writeFileSync(to, "")
  const access = { dataId: second.dataId, ticket: ticketOf(second.dataId, "read") }
  await fetchFile(to, { store, access, bytesMost, signal })
  assert.ok(readFileSync(to).equals(data))
})

test("only with its own ticket, for what it is for, and as long as the backup is being made", async () => {
  const { id, dataId } = await newBackup()
  const digests = Buffer.alloc(64, 1)
  const wrong = [
    "",
    "x",
    ticketOf(dataId, "read"),
    ticketOf(newUuid(), "write"),
    ticketOf(dataId, "write", "host3"),
  ]
  for (const ticket of wrong)
    await assert.rejects(store.offer({ dataId, ticket }, 0, digests, { signal }), {
      code: "block_storage.backup.ticket_refused",
    })
  const access = { dataId, ticket: ticketOf(dataId, "write") }
  assert.deepEqual(await store.offer(access, 0, digests, { signal }), [0, 1])
  for (const [refused, pattern] of [
    [() => store.offer(access, 0, Buffer.alloc(31), { signal }), /digests/],
    [() => store.put(access, 0, Buffer.from("not that"), { signal }), /not what was offered/],
    [() => store.put(access, 5, Buffer.from("x"), { signal }), /not asked for/],
    [() => store.put(access, 5_000, Buffer.from("x"), { signal }), /not asked for/],
    [() => store.put(access, 1, Buffer.alloc(chunkBytes + 1), { signal }), /4097 bytes; 4096 were asked for/],
    [() => store.offer(access, 256, digests, { signal }), /beyond the volume, which has 262144 chunks/],
    [() => store.finish(access, { sizeBytes: 2 ** 31, chunkBytes }, { signal }), /its volume 1 GiB/],
    [() => store.finish(access, { sizeBytes: 512, chunkBytes: 512 }, { signal }), /4096 were asked for/],
    [
      () => store.finish(access, { sizeBytes: 2 * chunkBytes, chunkBytes }, { signal }),
      /2 chunks are to be there/,
    ],
    [() => store.finish(access, { sizeBytes: 3 * chunkBytes, chunkBytes }, { signal }), /not there whole/],
    [() => store.finish(access, { sizeBytes: -1, chunkBytes }, { signal }), /sizeBytes/],
  ] as const)
    await assert.rejects(refused(), pattern)
  const reading = { dataId, ticket: ticketOf(dataId, "read") }
  await assert.rejects(store.open(reading, { signal }), /never whole/)
  const { db } = at.cloud.database
  await db.updateTable("block_storage.backup").set({ status: "deleting" }).where("id", "=", id).execute()
  await assert.rejects(store.offer(access, 0, digests, { signal }), {
    code: "block_storage.backup.superseded",
  })
})

test("of who has no ticket no body is waited for", async () => {
  const body = new Readable({ read: () => {} })
  body.push(Buffer.alloc(1_024))
  const asked = client.ask({
    ...{ method: "PUT", path: `${doorPaths.backups}/${newUuid()}/data/0`, body },
    headers: { [doorHeaders.backupTicket]: "none", "content-length": "1000000" },
  })
  await assert.rejects(asked, { code: "block_storage.backup.ticket_refused" })
  body.destroy()
})

test("paths that are none are refused", async () => {
  const { dataId } = await newBackup()
  const headers = { [doorHeaders.backupTicket]: ticketOf(dataId, "write") }
  for (const path of ["", "/x", `/${dataId}`, `/${dataId}/data`, `/${dataId}/index/-1`, `/${dataId}/whole/1`])
    await assert.rejects(client.ask({ path: `${doorPaths.backups}${path}`, headers }), { kind: "invalid" })
})
