// Files that a request gives to the guest: until 2.56, within limits, by config drive and metadata service.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { answerMetadata } from "../src/compute/metadata/answer.ts"
import { machineSpec } from "../src/compute/metadata/machine-spec.ts"
import { metadataFacts } from "../src/compute/metadata/read-facts.ts"
import { selectServer } from "../src/compute/server/store.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let it: ServerCloud
before(async () => {
  it = await startServerCloud()
})
after(async () => await it[Symbol.asyncDispose]())

const last = { version: "2.56" }
const file = (path: string, text: string) => ({ path, contents: Buffer.from(text).toString("base64") })
const server = () => ({ name: "vm", imageRef: it.imageId, flavorRef: it.flavorId, networks: "none" })

/** Path → text, as the guest finds it by what meta_data.json says. */
async function filesOfGuest(serverId: string): Promise<Record<string, string>> {
  const { platform } = it.cloud.cloud
  const row = await selectServer(platform.db, serverId)
  assert.ok(row)
  const facts = await metadataFacts(platform, row)
  const read = (path: string) => answerMetadata(facts, path)?.body ?? assert.fail(path)
  const drive = (await machineSpec(platform, row, [])).configDrive
  const found: Record<string, string> = {}
  for (const { path, content_path: at } of JSON.parse(read("/openstack/latest/meta_data.json")).files ?? []) {
    const text = Buffer.from(read(`/openstack${at}`), "latin1").toString()
    if (drive) assert.equal(Buffer.from(drive[`openstack${at}`] ?? "", "base64").toString(), text)
    found[path] = text
  }
  return found
}

const rowsOf = async (serverId: string) =>
  (
    await sql`select 1 from compute.injected_file where server_id = ${serverId}`.execute(
      it.cloud.cloud.platform.db,
    )
  ).rows.length

test("the guest finds them; a rebuild brings others or none; they go with the server", async () => {
  const personality = [file("/etc/motd", "héllo\n"), file("/etc/issue", "")]
  const id = await it.create({ personality, config_drive: true }, last)
  await it.reaches(id, "ACTIVE")
  assert.deepEqual(await filesOfGuest(id), { "/etc/motd": "héllo\n", "/etc/issue": "" })

  const others = { rebuild: { imageRef: it.imageId, personality: [file("/etc/other", "x")] } }
  assert.equal((await it.act(id, others, last)).status, 202)
  await it.reaches(id, "ACTIVE")
  assert.deepEqual(await filesOfGuest(id), { "/etc/other": "x" })

  assert.equal((await it.act(id, { rebuild: { imageRef: it.imageId } })).status, 202)
  await it.reaches(id, "ACTIVE")
  assert.deepEqual(await filesOfGuest(id), {})

  assert.equal((await it.act(id, others, last)).status, 202)
  await it.reaches(id, "ACTIVE")
  assert.equal(await rowsOf(id), 1)
  await it.call("DELETE", `/servers/${id}`)
  await it.isGone(id)
  assert.equal(await rowsOf(id), 0)
})

test("each server of a request has them, with and without a config drive", async () => {
  const personality = [file("/etc/motd", "all\n")]
  const body = { server: { ...server(), personality, min_count: 2, return_reservation_id: true } }
  const made = await it.call("POST", "/servers", body, last)
  assert.equal(made.status, 202, JSON.stringify(made.body))
  const path = `/servers?reservation_id=${made.body.reservation_id}`
  const { servers } = (await it.call("GET", path)).body
  assert.equal(servers.length, 2)
  for (const { id } of servers) assert.deepEqual(await filesOfGuest(id), { "/etc/motd": "all\n" })
})

test("what is no file, and what is over a limit", async () => {
  const id = await it.create({ networks: "none" })
  const before = await it.reaches(id, "ACTIVE")
  const quota = `/os-quota-sets/${before.tenant_id}`
  const limit = async (quotaSet: Record<string, number>) => {
    const how = { version: "2.56", token: it.admin }
    assert.equal((await it.call("PUT", quota, { quota_set: quotaSet }, how)).status, 200)
  }
  const refused = async (personality: unknown, status: number, message: RegExp | string, how = last) => {
    const created = await it.call("POST", "/servers", { server: { ...server(), personality } }, how)
    const rebuilt = await it.act(id, { rebuild: { imageRef: it.imageId, personality } }, how)
    for (const { status: got, body } of [created, rebuilt]) {
      assert.equal(got, status, JSON.stringify(body))
      const { message: said } = status === 403 ? body.forbidden : body.badRequest
      if (typeof message === "string") assert.equal(said, message)
      else assert.match(said, message)
    }
  }
  await refused([file("/a", "x")], 400, /'personality' was unexpected/, { version: "2.57" })
  for (const contents of ["no base 64!", "YQ", "Y=Q=", "YWJj="])
    await refused([{ path: "/a", contents }], 400, /contents.*base64/)
  await refused([{ contents: "" }], 400, /'path' is a required property/)
  await refused([{ path: "/a" }], 400, /'contents' is a required property/)

  const files = (count: number) => Array.from({ length: count }, (_, n) => file(`/etc/${n}`, "x"))
  await refused(files(6), 403, "Personality file limit exceeded")
  await refused([file(`/${"a".repeat(255)}`, "x")], 403, "Personality file path exceeds maximum 255")
  // 10,240 characters of base64 are 7,680 bytes.
  const long = file("/b", "x".repeat(7_681))
  await refused([file("/a", "x"), long], 403, "Personality file content exceeds maximum 10240")
  await limit({ injected_files: 1 })
  await refused(files(2), 403, "Personality file limit exceeded")
  assert.equal(await rowsOf(id), 0)
  assert.equal((await it.show(id)).status, "ACTIVE")
  await limit({ injected_files: -1, injected_file_content_bytes: 20_000 })
  const made = await it.create({ networks: "none", personality: [...files(6), long] }, last)
  assert.equal(await rowsOf(made), 7)
})
