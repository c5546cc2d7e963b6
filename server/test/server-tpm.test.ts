// Servers with a TPM: where they go, what is refused of them, and who is given the key.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { openTpmKey } from "../src/compute/index.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(async () => await c[Symbol.asyncDispose]())

async function flavor(specs: Record<string, string>): Promise<string> {
  const size = { name: newUuid(), ram: 128, vcpus: 1, disk: 1 }
  const { body } = await c.call("POST", "/flavors", { flavor: size }, { token: c.admin })
  const path = `/flavors/${body.flavor.id}/os-extra_specs`
  // By a version that looks at no value.
  const { status } = await c.call("POST", path, { extra_specs: specs }, { token: c.admin, version: "2.85" })
  assert.equal(status, 200)
  return body.flavor.id
}
const tpm = { "hw:tpm_version": "2.0", "hw:tpm_model": "tpm-crb" }

test("what would leave its TPM behind is refused in Nova's words", async () => {
  const id = await c.create({ networks: "none", flavorRef: await flavor(tpm) })
  await c.reaches(id, "ACTIVE")
  const refused = async (action: object, operation: string) => {
    const { status, body } = await c.act(id, action, { token: c.admin })
    assert.deepEqual(
      [status, body.badRequest?.message],
      [400, `Operation '${operation}' not supported for vTPM-enabled instance (${id}).`],
    )
  }
  await refused({ rebuild: { imageRef: c.imageId } }, "rebuild")
  await refused({ shelve: null }, "shelve")
  await refused({ rescue: null }, "rescue")
  await refused({ "os-migrateLive": { host: null, block_migration: "auto" } }, "live-migration")
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  await c.act(id, { "os-start": null })
  await c.reaches(id, "ACTIVE")
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("what cannot be is refused, and a secret that its user alone could open finds no host", async () => {
  const refusal = async (specs: Record<string, string>) => {
    const server = { name: "vm", imageRef: c.imageId, flavorRef: await flavor(specs), networks: "none" }
    const { status, body } = await c.call("POST", "/servers", { server })
    assert.equal(status, 400, JSON.stringify(body))
    return body.badRequest.message
  }
  assert.equal(
    await refusal({ "hw:tpm_version": "1.2", "hw:tpm_model": "tpm-crb" }),
    "TPM model CRB is only valid with TPM version 2.0.",
  )
  assert.match(
    await refusal({ "hw:tpm_version": "3" }),
    /^Invalid TPM version '3'\. Allowed values: 1\.2, 2\.0/,
  )
  const flavorRef = await flavor({ ...tpm, "hw:tpm_secret_security": "user" })
  const id = await c.create({ networks: "none", flavorRef })
  assert.match((await c.reaches(id, "ERROR")).fault.message, /COMPUTE_SECURITY_TPM_SECRET_SECURITY_USER/)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("its key is given to the host that has it alone, the same each time, and goes with it", async () => {
  const { platform } = c.cloud.cloud
  const id = await c.create({ networks: "none", flavorRef: await flavor(tpm) })
  await c.reaches(id, "ACTIVE")
  const here = (await c.show(id, { token: c.admin }))["OS-EXT-SRV-ATTR:host"]
  const key = (host: string) => openTpmKey(platform, { host, serverId: id })
  const first = await key(here)
  assert.equal(Buffer.from(first, "base64").length, 32)
  assert.equal(await key(here), first)
  const refused = { code: "compute.server.tpm_key_refused" }
  await assert.rejects(key(otherHost), refused)
  await openOtherHost(platform)
  try {
    await c.act(id, { migrate: null }, { token: c.admin })
    await c.reaches(id, "VERIFY_RESIZE")
    assert.equal(await key(otherHost), first)
    await assert.rejects(key(here), refused)
  } finally {
    await c.call("DELETE", `/servers/${id}`)
    await c.isGone(id)
    await closeOtherHost(platform)
  }
  await assert.rejects(key(otherHost), refused)
  const kept = await platform.db
    .selectFrom("compute.tpm_key")
    .select("server_id")
    .where("server_id", "=", id)
    .execute()
  assert.deepEqual(kept, [])
})
