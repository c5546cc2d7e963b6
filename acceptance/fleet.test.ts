// Simulated hosts beside the cloud's own: added, used, there again after a restart and a crash, taken away.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

let cloud: TestCloud
let admin: Session
let far: string
before(async () => {
  cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
  admin = await Session.open(cloud, "admin")
})
after(async () => await cloud?.[Symbol.asyncDispose]())

const fleet = async (...words: string[]) => (await cloud.kumoi("fleet", ...words)).stdout
const areUp = (count: number) =>
  eventually(`${count} to be up`, async () => new RegExp(`\\b${count} up`).test(await fleet("list")))

test("simulated hosts come, take servers, and are there again after a restart and a crash", async () => {
  assert.match(await fleet("add", "3", "--profile", "small"), /^3 simulated hosts \(3 small\)/)
  assert.match(await fleet("add", "2", "--profile", "large"), /^5 simulated hosts \(3 small, 2 large\)/)
  await areUp(5)
  const on = ["--os-compute-api-version", "2.74", "server", "create", "--host", "sim-00005"]
  const what = ["--image", "kumoi-guest", "--flavor", "m1.tiny", "--network", "private", "far"]
  far = await cloud.openstack("admin", ...on, ...what, "-f", "value", "-c", "id")
  await admin.untilStatus(far, "ACTIVE")
  assert.match(await fleet("list"), /1 servers on them/)
  await cloud.kumoi("down")
  await cloud.up()
  await areUp(5)
  await cloud.killForGood()
  await cloud.up()
  await areUp(5)
  assert.equal((await admin.server(far)).status, "ACTIVE")
})

test("those with servers stay; the others go, with their rows", async () => {
  assert.match(String(await fleet("remove").catch(String)), /There are servers on sim-00005/)
  await admin.deleteServer(far)
  assert.match(await fleet("remove", "4"), /^1 simulated hosts \(1 small\)/)
  const services = await cloud.openstack("admin", "compute", "service", "list", "-f", "value", "-c", "Host")
  assert.deepEqual(
    services.split("\n").filter((name) => name.startsWith("sim-")),
    ["sim-00001"],
  )
  assert.match(await fleet("remove"), /^0 simulated hosts/)
  assert.match(String(await fleet("add", "20000").catch(String)), /from 1 to 10000/)
})
