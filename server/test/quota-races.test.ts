// A quota holds for requests that come at the same moment, too.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { beginTransfer } from "../src/image/data/transfer.ts"
import { internalCtx } from "../src/platform/context/context.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let projectId: string
before(async () => {
  c = await startServerCloud({ overrides: { "image.quota.uploadMax": 1 } })
  const headers = { "x-subject-token": c.demo }
  const token = await c.cloud.request("GET", "/identity/v3/auth/tokens", { token: c.admin, headers })
  projectId = token.body.token.project.id
})
after(() => c[Symbol.asyncDispose]())

const statuses = (replies: readonly { status: number }[]) => replies.map((reply) => reply.status).sort()

const setQuota = async (limits: Record<string, number>) => {
  const set = await c.call("PUT", `/os-quota-sets/${projectId}`, { quota_set: limits }, { token: c.admin })
  assert.equal(set.status, 200, JSON.stringify(set.body))
}
const coresUsed = async () =>
  (await c.call("GET", `/os-quota-sets/${projectId}/detail`, undefined, { token: c.admin })).body.quota_set
    .cores.in_use

test("of two resizes for which there is room for one, one is refused; the larger size counts to the end", async () => {
  const flavor = { name: "big", id: "big", vcpus: 2, ram: 192, disk: 1 }
  assert.equal((await c.call("POST", "/flavors", { flavor }, { token: c.admin })).status, 200)
  const ids = [await c.create(), await c.create()]
  for (const id of ids) await c.reaches(id, "ACTIVE")
  await setQuota({ cores: 3 })
  const resize = { resize: { flavorRef: "big" } }
  const replies = await Promise.all(ids.map((id) => c.act(id, resize)))
  assert.deepEqual(statuses(replies), [202, 403])
  const grown = ids[replies.findIndex((reply) => reply.status === 202)] ?? ""
  await c.reaches(grown, "VERIFY_RESIZE")
  assert.equal(await coresUsed(), 3)
  // While it may go back to the larger size, that one counts.
  assert.equal((await c.act(grown, { confirmResize: null })).status, 204)
  await setQuota({ cores: 10 })
  assert.equal((await c.act(grown, { resize: { flavorRef: c.flavorId } })).status, 202)
  await c.reaches(grown, "VERIFY_RESIZE")
  assert.equal(await coresUsed(), 3)
  assert.equal((await c.act(grown, { confirmResize: null })).status, 204)
  assert.equal(await coresUsed(), 2)
  for (const id of ids) {
    await c.call("DELETE", `/servers/${id}`)
    await c.isGone(id)
  }
})

test("a server becomes smaller although the project has too much", async () => {
  const id = await c.create({ flavorRef: "84" })
  await c.reaches(id, "ACTIVE")
  await c.call(
    "PUT",
    `/os-quota-sets/${projectId}`,
    { quota_set: { ram: 1, force: true } },
    { token: c.admin },
  )
  assert.equal((await c.act(id, { resize: { flavorRef: c.flavorId } })).status, 202)
  await c.reaches(id, "VERIFY_RESIZE")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
  await setQuota({ ram: -1 })
})

test("of two uploads for which there is room for one, one is refused", async () => {
  const begun = await Promise.allSettled(
    ["a", "b"].map(async (name) => {
      const made = await c.cloud.request("POST", "/image/v2/images", {
        token: c.demo,
        body: { name, disk_format: "raw", container_format: "bare" },
      })
      return await beginTransfer(internalCtx(c.cloud.cloud.platform), made.body.id, "saving")
    }),
  )
  assert.deepEqual(begun.map((each) => each.status).sort(), ["fulfilled", "rejected"])
})

test("a user's last key pair is given once, whichever projects ask", async () => {
  await setQuota({ key_pairs: 1 })
  const make = (name: string) => c.call("POST", "/os-keypairs", { keypair: { name } }, { version: "2.1" })
  assert.deepEqual(statuses(await Promise.all([make("a"), make("b")])), [200, 403])
})
