// kill -9 of the cloud's process at moments of chance while volumes, snapshots and backups are made, changed, attached
// and deleted. Whatever was accepted comes to an end: afterwards nothing is on its way, and nobody has what is free.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { setTimeout as pause } from "node:timers/promises"
import { eventually, TestCloud } from "./cloud.ts"
import { type Answer, Session } from "./session.ts"

const rounds = 5
const perRound = 14
/** Of all that is on its way when the last kill came: leases end, waits are over. */
const settledWithinMs = 240_000

// biome-ignore lint/suspicious/noExplicitAny: replies of many APIs, looked at field by field
type Thing = any

interface Seen {
  volumes: Thing[]
  snapshots: Thing[]
  backups: Thing[]
  attachments: Thing[]
  servers: Thing[]
  images: Thing[]
}

/** The same numbers for the same seed. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

describe("kill -9 of the process at any moment of what is done to volumes", () => {
  const seed = Number(process.env.KUMOI_TEST_SEED ?? Date.now() % 1_000_000)
  const number = numbersFrom(seed)
  let cloud: TestCloud
  let demo: Session
  let image = ""

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
    const admin = await Session.open(cloud, "admin")
    demo = await Session.open(cloud, "demo")
    image = await demo.imageId("kumoi-guest")
    const quota_set = { volumes: -1, gigabytes: -1, snapshots: -1, backups: -1, backup_gigabytes: -1 }
    await admin.must("PUT", `/volume/v3/os-quota-sets/${demo.projectId}`, { quota_set })
    for (const name of ["one", "two"]) await demo.createServer({ name, networks: "none" })
    for (let n = 0; n < 6; n++) await demo.must("POST", "/volume/v3/volumes", { volume: { size: 1 } })
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  const volume = (method: string, path: string, body?: unknown): Promise<Answer> =>
    demo.send(method, `/volume/v3${path}`, body, { "openstack-api-version": "volume 3.70" })
  const compute = (method: string, path: string, body?: unknown): Promise<Answer> =>
    demo.send(method, `/compute/v2.1${path}`, body)

  async function look(): Promise<Seen> {
    const of = async (path: string) => (await demo.get(path))[path.split("/").at(3) ?? ""]
    const [{ images }, { servers }] = [
      await demo.get("/image/v2/images?limit=500"),
      await demo.get("/compute/v2.1/servers/detail"),
    ]
    return {
      ...{ images, servers },
      volumes: await of("/volume/v3/volumes/detail"),
      snapshots: await of("/volume/v3/snapshots/detail"),
      backups: await of("/volume/v3/backups/detail"),
      attachments: (await volume("GET", "/attachments/detail")).body.attachments,
    }
  }

  /** One request of chance, or none when there is nothing to do it to. */
  function something(seen: Seen): (() => Promise<Answer>) | null {
    const one = (things: Thing[], status: string): Thing => {
      const fit = things.filter((thing) => thing.status === status)
      return fit[number(fit.length)]
    }
    const act = (id: string, action: object) => volume("POST", `/volumes/${id}/action`, action)
    const [free, used] = [one(seen.volumes, "available"), one(seen.volumes, "in-use")]
    const [snapshot, backup] = [one(seen.snapshots, "available"), one(seen.backups, "available")]
    const server = one(seen.servers, "ACTIVE")
    const any = number(2) === 0 ? (used ?? free) : (free ?? used)
    const make = (wish: object) => () => volume("POST", "/volumes", { volume: wish })
    const todo = [
      make({ size: 1 }),
      make({ size: 2, imageRef: image }),
      free && make({ source_volid: free.id }),
      snapshot && make({ snapshot_id: snapshot.id }),
      any && (() => volume("POST", "/snapshots", { snapshot: { volume_id: any.id, force: true } })),
      any && (() => volume("POST", "/snapshots", { snapshot: { volume_id: any.id, force: true } })),
      any && (() => volume("POST", "/backups", { backup: { volume_id: any.id, force: true } })),
      any &&
        (() => volume("POST", "/backups", { backup: { volume_id: any.id, force: true, incremental: true } })),
      backup && (() => volume("POST", `/backups/${backup.id}/restore`, { restore: {} })),
      backup &&
        free &&
        (() => volume("POST", `/backups/${backup.id}/restore`, { restore: { volume_id: free.id } })),
      free && (() => act(free.id, { "os-extend": { new_size: free.size + 1 } })),
      used && (() => act(used.id, { "os-extend": { new_size: used.size + 1 } })),
      free && (() => act(free.id, { "os-volume_upload_image": { image_name: "up", disk_format: "raw" } })),
      snapshot && (() => act(snapshot.volume_id, { revert: { snapshot_id: snapshot.id } })),
      free && (() => act(free.id, { "os-reimage": { image_id: image } })),
      free &&
        server &&
        (() =>
          compute("POST", `/servers/${server.id}/os-volume_attachments`, {
            volumeAttachment: { volumeId: free.id },
          })),
      used?.attachments[0] &&
        (() =>
          compute("DELETE", `/servers/${used.attachments[0].server_id}/os-volume_attachments/${used.id}`)),
      free && (() => volume("DELETE", `/volumes/${free.id}`)),
      free && (() => volume("DELETE", `/volumes/${free.id}?cascade=true`)),
      snapshot && (() => volume("DELETE", `/snapshots/${snapshot.id}`)),
      backup && (() => volume("DELETE", `/backups/${backup.id}`)),
    ]
    return todo[number(todo.length)] || null
  }

  async function untilAnswered(): Promise<Seen> {
    return await eventually("the cloud to answer", async () => await look().catch(() => false as const))
  }

  test(`nothing is on its way for ever (KUMOI_TEST_SEED=${seed})`, async () => {
    await eventually("the first volumes", async () =>
      (await look()).volumes.every(({ status }) => status === "available"),
    )
    for (let round = 0; round < rounds; round++) {
      const seen = await untilAnswered()
      const pid = await cloud.mainPid()
      const requests = Array.from({ length: perRound }, () => something(seen))
      const all = requests.map(async (request) => {
        const wait = number(1_500)
        await pause(wait)
        // The connection broke: nothing was promised.
        await request?.().catch(() => {})
      })
      await pause(300 + number(1_700))
      process.kill(pid, "SIGKILL")
      await Promise.all(all)
    }
    await untilAnswered()
    await eventually(
      "all to come to an end",
      async () => {
        assert.deepEqual(onItsWay(await look()), [])
        return true
      },
      { timeoutMs: settledWithinMs },
    )
  })
})

/** What has not come to its end, and who has what does not know of it. */
function onItsWay({ attachments, backups, images, servers, snapshots, volumes }: Seen): string[] {
  const settled = /^(available|in-use|error|error_\w+)$/
  const problems: string[] = []
  for (const [kind, things] of Object.entries({ volume: volumes, snapshot: snapshots, backup: backups }))
    for (const { id, status } of things)
      if (!settled.test(status)) problems.push(`${kind} ${id} is ${status}`)
  for (const { id, status, attachments: holders } of volumes) {
    const isHeld = holders.length > 0
    if (isHeld !== (status === "in-use"))
      problems.push(`volume ${id} is ${status}, held by ${holders.length}`)
  }
  for (const { id, status } of attachments)
    if (status !== "attached") problems.push(`attachment ${id} is ${status}`)
  for (const { id, status } of images) if (status !== "active") problems.push(`image ${id} is ${status}`)
  for (const server of servers)
    if (server["OS-EXT-STS:task_state"] !== null) problems.push(`server ${server.id} is in a task`)
  return problems
}
