import assert from "node:assert/strict"
import { readdir, readFile, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { sql } from "kysely"
import { type ServiceCloud, startServices } from "../../../test/service-cloud.ts"
import { eventually } from "../../platform/clock/clock.ts"
import type { Platform } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { discardLostFile, listLostFiles } from "../index.ts"
import { imageService } from "../service.ts"
import { ensureDirectories } from "./file-store.ts"
import { fileName, storePaths } from "./paths.ts"
import { recoverTransfers } from "./recover.ts"
import { removeDeadTransferFiles, setUnknownFilesAside } from "./unknown-files.ts"

async function startImages(): Promise<ServiceCloud> {
  const cloud = await startServices({ services: [imageService] })
  await ensureDirectories(cloud.platform, "file")
  return cloud
}

async function makeImage(cloud: ServiceCloud): Promise<string> {
  const body = { name: "i", disk_format: "raw", container_format: "bare" }
  const made = await cloud.request("POST", "/image/v2/images", { as: "p1", body })
  assert.equal(made.status, 201)
  return made.body.id
}

const upload = (cloud: ServiceCloud, id: string) =>
  cloud.request("PUT", `/image/v2/images/${id}/file`, { as: "p1", body: Buffer.from("the data") })

/** The platform with statements whose answers wait for `goOn`. */
function holdAnswers(platform: Platform) {
  const asked = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const db = platform.db.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      asked.resolve()
      await goOn.promise
      return result
    },
  })
  return { held: { ...platform, db }, asked: asked.promise, goOn: goOn.resolve }
}

async function writeOld(path: string, text: string): Promise<void> {
  await writeFile(path, text)
  await utimes(path, 0, 0)
}

test("an upload that begins while the files are compared keeps its file", async () => {
  await using cloud = await startImages()
  const { tmp } = storePaths(cloud.platform, "file")
  const id = await makeImage(cloud)
  // Of a transfer that died: the rows are asked for.
  const dead = fileName(id, newUuid())
  await writeFile(join(tmp, dead), "half")
  const { held, asked, goOn } = holdAnswers(cloud.platform)
  const sweep = removeDeadTransferFiles(held)
  await asked
  const other = await makeImage(cloud)
  const body = new TransformStream<Uint8Array, Uint8Array>()
  const writer = body.writable.getWriter()
  const sent = fetch(`${cloud.baseUrl}/image/v2/images/${other}/file`, {
    method: "PUT",
    headers: { "x-auth-token": "p1", "content-type": "application/octet-stream" },
    body: body.readable,
    duplex: "half",
  } as RequestInit)
  await writer.write(Buffer.from("the first half"))
  await eventually("the other upload's file", async () => (await readdir(tmp)).length === 2)
  goOn()
  assert.equal(await sweep, 1)
  assert.ok(!(await readdir(tmp)).includes(dead))
  await writer.write(Buffer.from("and the second"))
  await writer.close()
  assert.equal((await sent).status, 204)
})

test("what no image names is set aside, whole, when it is old; nothing else is touched", async () => {
  await using cloud = await startImages()
  const { store, staging, tmp, lostAndFound } = storePaths(cloud.platform, "file")
  const id = await makeImage(cloud)
  assert.equal((await upload(cloud, id)).status, 204)
  const [kept] = await readdir(store)
  assert.ok(kept)
  await utimes(join(store, kept), 0, 0)
  const [lost, young, halfDone] = [newUuid(), newUuid(), newUuid()].map((image) => fileName(image, newUuid()))
  // Data of an image that is there, which names another file: a row that is older than the file.
  const other = fileName(id, newUuid())
  await writeOld(join(store, lost ?? ""), "lost data")
  await writeOld(join(store, other), "other data")
  await writeOld(join(staging, lost ?? ""), "staged data")
  await writeOld(join(tmp, halfDone ?? ""), "half of it")
  await writeOld(join(store, "a file of the operator"), "his")
  await writeFile(join(store, young ?? ""), "between rename and commit")
  assert.equal(await setUnknownFilesAside(cloud.platform), 4)
  assert.deepEqual((await readdir(store)).sort(), [kept, young, "a file of the operator"].sort())
  assert.equal(await readFile(join(lostAndFound, "store", lost ?? ""), "utf8"), "lost data")
  assert.equal(await readFile(join(lostAndFound, "store", other), "utf8"), "other data")
  assert.equal(await readFile(join(lostAndFound, "staging", lost ?? ""), "utf8"), "staged data")
  assert.equal(await setUnknownFilesAside(cloud.platform), 0)
  const files = await listLostFiles(cloud.platform)
  assert.deepEqual(
    files.map(({ id, sizeBytes, isSetAside }) => [id, sizeBytes, isSetAside]).sort(),
    [
      [`staging/${lost}`, 11, true],
      [`store/${lost}`, 9, true],
      [`store/${other}`, 10, true],
      [`store/${young}`, 25, false],
      [`tmp/${halfDone}`, 10, true],
    ].sort(),
  )
  await assert.rejects(
    discardLostFile(cloud.platform, `store/${young}`),
    /in its place until it is old enough/,
  )
  await discardLostFile(cloud.platform, `store/${other}`)
  await assert.rejects(discardLostFile(cloud.platform, `store/${other}`), /kumoi image unknown/)
  await assert.rejects(discardLostFile(cloud.platform, `../store/${kept}`), /kumoi image unknown/)
  assert.equal((await listLostFiles(cloud.platform)).length, 4)
})

test("a database without rows loses no file", async () => {
  await using cloud = await startImages()
  const ids = [await makeImage(cloud), await makeImage(cloud)]
  for (const id of ids) assert.equal((await upload(cloud, id)).status, 204)
  const { store, lostAndFound } = storePaths(cloud.platform, "file")
  const before = await readdir(store)
  for (const name of before) await utimes(join(store, name), 0, 0)
  await sql`delete from image.image`.execute(cloud.database.db)
  await recoverTransfers(cloud.platform)
  assert.deepEqual(await readdir(store), before, "a start moves nothing")
  await setUnknownFilesAside(cloud.platform)
  assert.deepEqual(await readdir(join(lostAndFound, "store")), before)
})

test("until a restored database was compared with the store nothing is removed; a later one's store is left", async () => {
  await using cloud = await startImages()
  const { platform } = cloud
  const { tmp, store, lostAndFound, epoch } = storePaths(platform, "file")
  const id = await makeImage(cloud)
  const [dead, lost] = [fileName(id, newUuid()), fileName(newUuid(), newUuid())]
  await writeOld(join(tmp, dead), "half")
  await writeOld(join(store, lost), "lost")
  const { number } = platform.epoch
  await writeFile(epoch, JSON.stringify({ number: number + 5, id: newUuid() }))
  await assert.rejects(setUnknownFilesAside(platform), /later database/)
  await assert.rejects(removeDeadTransferFiles(platform), /later database/)
  await recoverTransfers(platform)
  assert.deepEqual([await readdir(tmp), await readdir(store)], [[dead], [lost]])
  await writeFile(epoch, JSON.stringify({ number: number - 1, id: newUuid() }))
  assert.equal(await removeDeadTransferFiles(platform), 0)
  assert.equal(await setUnknownFilesAside(platform), 1)
  assert.equal(await readFile(join(lostAndFound, "store", lost), "utf8"), "lost")
  assert.deepEqual(JSON.parse(await readFile(epoch, "utf8")), platform.epoch)
  assert.equal(await removeDeadTransferFiles(platform), 1)
})

test("with 100,000 images a pass reads the transfers under way and no more", async () => {
  await using cloud = await startImages()
  const { db } = cloud.database
  await sql`
    insert into image.image (id, project_id, status, visibility, properties, created_at, updated_at)
    select gen_random_uuid(), 'p', 'active', 'private', '{}', now(), now()
    from generate_series(1, 100000)`.execute(db)
  await sql`analyze image.image`.execute(db)
  const plan = await sql<{ "QUERY PLAN": string }>`
    explain select id from image.image where transfer_id is not null`.execute(db)
  const text = plan.rows.map((row) => row["QUERY PLAN"]).join("\n")
  assert.match(text, /image_transferring/)
  assert.doesNotMatch(text, /Seq Scan/)
})
