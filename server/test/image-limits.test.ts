// Limits of images are unified limits: registered at the start, changed where operators of Glance change them.
import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

const limits = "/identity/v3/limits"
const registered = "/identity/v3/registered_limits"

async function imageLimits(cloud: TestCloud, token: string) {
  const services = await cloud.request("GET", "/identity/v3/services?type=image", { token })
  const serviceId: string = services.body.services[0].id
  const found = await cloud.request("GET", `${registered}?service_id=${serviceId}`, { token })
  return { serviceId, rows: found.body.registered_limits }
}

test("registered at the start with the configuration's values, and obeyed as operators change them", async () => {
  await using cloud = await startTestCloud({ overrides: { "image.quota.countMax": 1 } })
  const [admin, demo] = [await cloud.token(), await cloud.token({ user: "demo" })]
  const { serviceId, rows } = await imageLimits(cloud, admin)
  const byName = (all: { resource_name: string; default_limit: number; region_id: string }[]) =>
    all.map((row) => `${row.resource_name} ${row.default_limit} ${row.region_id}`).sort()
  assert.deepEqual(byName(rows), [
    "image_count_total 1 RegionOne",
    "image_count_uploading -1 RegionOne",
    "image_size_total -1 RegionOne",
    "image_stage_total -1 RegionOne",
  ])
  const make = async () => {
    const body = { name: "i", disk_format: "raw", container_format: "bare" }
    return (await cloud.request("POST", "/image/v2/images", { token: demo, body })).status
  }
  const limit = async () =>
    (await cloud.request("GET", "/image/v2/info/usage", { token: demo })).body.usage.image_count_total
  assert.equal(await make(), 201)
  assert.equal(await make(), 413)
  const projects = await cloud.request("GET", "/identity/v3/projects?name=demo", { token: admin })
  const own = { service_id: serviceId, region_id: "RegionOne", resource_name: "image_count_total" }
  const project_id: string = projects.body.projects[0].id
  const body = { limits: [{ ...own, project_id, resource_limit: 2 }] }
  const made = await cloud.request("POST", limits, { token: admin, body })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.deepEqual(await limit(), { usage: 1, limit: 2 })
  assert.equal(await make(), 201)
  assert.equal(await make(), 413)
  const id: string = made.body.limits[0].id
  assert.equal((await cloud.request("DELETE", `${limits}/${id}`, { token: admin })).status, 204)
  const row = rows.find((one: { resource_name: string }) => one.resource_name === "image_count_total")
  const change = { registered_limit: { default_limit: 3 } }
  const at = `${registered}/${row.id}`
  assert.equal((await cloud.request("PATCH", at, { token: admin, body: change })).status, 200)
  assert.deepEqual(await limit(), { usage: 2, limit: 3 })

  await cloud.stop()
  await using again = await startTestCloud({
    continueFrom: cloud,
    overrides: { "image.quota.countMax": 1 },
  })
  const after = await imageLimits(again, await again.token())
  assert.ok(byName(after.rows).includes("image_count_total 3 RegionOne"), "an operator's change stays")
})
