import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let token: string
let levelBefore: string

before(async () => {
  cloud = await startTestCloud()
  token = await cloud.token()
  levelBefore = cloud.cloud.platform.log.level
  await eventually("the host's back end", async () => {
    const { body } = await cloud.request("GET", "/volume/v3/scheduler-stats/get_pools", { token })
    return body.pools.length > 0
  })
})
after(async () => {
  if (cloud) cloud.cloud.platform.log.level = levelBefore
  await cloud?.[Symbol.asyncDispose]()
})

const put = (action: string, body: object, version = "3.32", as = token) =>
  cloud.request("PUT", `/volume/v3/os-services/${action}`, {
    ...{ token: as, body, headers: { "openstack-api-version": `volume ${version}` } },
  })

async function shown(which: object = {}): Promise<{ binary: string; host: string; levels: object }[]> {
  const { status, body } = await put("get-log", which)
  assert.equal(status, 200, JSON.stringify(body))
  return body.log_levels
}

test("how much is logged is said of each service, and set", async () => {
  const { host } = cloud.cloud.platform.config
  assert.equal((await put("set-log", { level: "error" })).status, 202)
  assert.equal(cloud.cloud.platform.log.level, "error")
  assert.deepEqual(
    await shown(),
    ["cinder-api", "cinder-scheduler", "cinder-backup", "cinder-volume"].map((binary) => {
      return { binary, host, levels: { kumoi: "ERROR" } }
    }),
  )
  assert.deepEqual(await shown({ binary: "cinder-backup", server: host, prefix: "kum" }), [
    { binary: "cinder-backup", host, levels: { kumoi: "ERROR" } },
  ])
  assert.deepEqual(
    (await shown({ binary: "*", prefix: "oslo" })).map(({ levels }) => levels),
    [{}, {}, {}, {}],
  )
  assert.deepEqual(await shown({ server: "another" }), [])
  assert.equal(
    (await put("set-log", { level: "WARN", binary: "cinder-volume", server: `${host}@fake` })).status,
    202,
  )
  assert.deepEqual(
    (await shown({ binary: "cinder-volume" })).map(({ levels }) => levels),
    [{ kumoi: "WARNING" }],
  )
})

test("what is not known is refused, and who is no administrator", async () => {
  for (const wrong of [
    { level: "LOUD" },
    {},
    { level: "INFO", binary: "nova-compute" },
    { level: "INFO", prefix: "oslo.db" },
    { level: "INFO", more: 1 },
  ])
    assert.equal((await put("set-log", wrong)).status, 400, JSON.stringify(wrong))
  assert.equal((await put("get-log", { binary: "x" })).status, 400)
  const demo = await cloud.token({ user: "demo" })
  for (const action of ["set-log", "get-log"])
    assert.equal(
      (await put(action, { level: "INFO" }, "3.32", demo)).status,
      action === "set-log" ? 403 : 400,
    )
  assert.equal((await put("get-log", {}, "3.32", demo)).status, 403)
  assert.equal((await put("get-log", {}, "3.31")).status, 404, "not there before")
})
