// A cloud is backed up, goes on, and becomes again what the backup says: nothing of what came and went since is lost,
// it is listed, and what the backup knows obeys.
import assert from "node:assert/strict"
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually, freePort, run, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

const fakes = { hypervisor: "fake", network: "fake" } as const
const place = mkdtempSync(join(tmpdir(), "kumoi-backup-"))
after(() => rmSync(place, { recursive: true, force: true }))

interface Finding {
  kind: string
  id: string
  power: string
}

async function createServer(session: Session, name: string): Promise<string> {
  const [image] = (await session.get("/image/v2/images?name=kumoi-guest")).images
  const networks = (await session.get("/network/v2.0/networks?name=private")).networks
  const server = { name, imageRef: image.id, flavorRef: "42", networks: [{ uuid: networks[0].id }] }
  const answer = await session.send("POST", "/compute/v2.1/servers", { server })
  assert.equal(answer.status, 202, JSON.stringify(answer.body))
  await untilStatus(session, answer.body.server.id, "ACTIVE")
  return answer.body.server.id
}

const statusOf = async (session: Session, id: string): Promise<string> =>
  (await session.get(`/compute/v2.1/servers/${id}`)).server.status

const untilStatus = (session: Session, id: string, status: string) =>
  eventually(`server ${id} to be ${status}`, async () => (await statusOf(session, id)) === status)

async function act(session: Session, id: string, action: string, status: string): Promise<void> {
  const answer = await session.send("POST", `/compute/v2.1/servers/${id}/action`, { [action]: null })
  assert.equal(answer.status, 202, JSON.stringify(answer.body))
  await untilStatus(session, id, status)
}

async function createImage(cloud: TestCloud, session: Session, name: string): Promise<string> {
  const file = join(place, name)
  appendFileSync(file, `the data of ${name}`)
  const attributes = ["--disk-format", "raw", "--container-format", "bare", "-f", "value", "-c", "id"]
  const id = await cloud.openstack("demo", "image", "create", "--file", file, ...attributes, name)
  assert.equal((await session.get(`/image/v2/images/${id}`)).status, "active")
  return id
}

async function findings(cloud: TestCloud): Promise<Finding[]> {
  const { hosts } = JSON.parse((await cloud.kumoi("host", "unknown", "--json")).stdout)
  return hosts.flatMap((host: { findings: Finding[] }) => host.findings)
}

const filesBelow = (path: string): string[] => readdirSync(path, { recursive: true }).map(String).sort()

test("back up, go on, restore: nothing is lost, what differs is listed, and known servers obey", async () => {
  await using cloud = await TestCloud.start(fakes)
  const session = await Session.open(cloud, "demo")
  const known = await createServer(session, "known")
  const deleted = await createServer(session, "deleted-since")
  const oldImage = await createImage(cloud, session, "old-image")
  const backup = join(place, "first")
  assert.match((await cloud.kumoi("backup", backup, "--images")).stdout, /database: \d+ tables.*\n.*files/s)
  assert.equal(statSync(backup).mode & 0o077, 0)
  // Never over another one; never from or into what is not right.
  assert.match((await attempt(cloud, "backup", backup)).stderr, /is not empty/)
  assert.match((await attempt(cloud, "restore", backup)).stderr, /is running/)

  // The generations of what is known rise, too.
  for (let i = 0; i < 2; i++) {
    await act(session, known, "os-stop", "SHUTOFF")
    await act(session, known, "os-start", "ACTIVE")
  }
  const created = await createServer(session, "created-since")
  const newImage = await createImage(cloud, session, "new-image")
  await session.send("DELETE", `/compute/v2.1/servers/${deleted}`)
  await session.send("DELETE", `/image/v2/images/${oldImage}`)
  await eventually("the delete", async () => {
    const { status } = await session.send("GET", `/compute/v2.1/servers/${deleted}`)
    return status === 404
  })
  await cloud.kumoi("down")

  const damaged = join(place, "damaged")
  cpSync(backup, damaged, { recursive: true })
  appendFileSync(join(damaged, "database/compute.server.copy"), "\n")
  assert.match((await attempt(cloud, "restore", damaged)).stderr, /damaged: .*compute\.server\.copy has/)
  rmSync(join(damaged, "manifest.json"))
  assert.match((await attempt(cloud, "restore", damaged)).stderr, /no whole backup/)

  const stored = filesBelow(join(cloud.dataDir, "image/store"))
  const said = (await cloud.kumoi("restore", backup)).stdout
  assert.match(said, /epoch \d+ begins/)
  assert.match(said, /kept in .*before-restore/)
  await cloud.up()

  const again = await Session.open(cloud, "demo")
  // Known servers obey, though their hosts have seen higher generations.
  await untilStatus(again, known, "ACTIVE")
  await act(again, known, "os-stop", "SHUTOFF")
  await act(again, known, "os-start", "ACTIVE")
  assert.equal((await again.send("GET", `/compute/v2.1/servers/${created}`)).status, 404)
  // What was destroyed since is in error and not made anew.
  await untilStatus(again, deleted, "ERROR")
  const found = await eventually("the findings", async () => {
    const list = await findings(cloud)
    return list.length === 2 && list
  })
  assert.deepEqual(
    found.map(({ kind, id, power }) => `${kind} ${id} ${power}`).sort(),
    [`missing ${deleted} absent`, `unknown ${created} running`].sort(),
  )
  const machines = await eventually("the alarm", async () => {
    const component = await cloud.component("compute.machines")
    return component?.state === "failing" && component
  })
  assert.match(JSON.stringify(machines), /differ from the restored database.*kumoi host unknown/)

  // No byte is lost: the new image's file is there, and the old one's is back.
  for (const file of stored) assert.ok(existsSync(join(cloud.dataDir, "image/store", file)), file)
  const download = await again.send("GET", `/image/v2/images/${oldImage}/file`)
  assert.equal(download.status, 200)
  assert.ok(stored.some((file) => file.startsWith(newImage)))

  // A destroy keeps the disks until the host agrees with the database.
  await again.send("DELETE", `/compute/v2.1/servers/${deleted}`)
  const adopted = await cloud.kumoi("host", "adopt", created)
  assert.match(adopted.stdout, new RegExp(`server ${created} .* is active`))
  await act(again, created, "os-stop", "SHUTOFF")
  await act(again, created, "os-start", "ACTIVE")
  // The delete may still be on its way.
  await eventually("nothing to differ", async () => {
    assert.deepEqual(await findings(cloud), [])
    return true
  })
  await eventually(
    "the host to agree",
    async () => (await cloud.component("compute.machines"))?.state === "ok",
  )
})

test("a backup is restored into a new data directory, as on another machine", async () => {
  const backup = join(place, "second")
  let projectId = ""
  {
    await using cloud = await TestCloud.start(fakes)
    const session = await Session.open(cloud, "demo")
    projectId = session.projectId
    const answer = await session.send("POST", "/network/v2.0/networks", { network: { name: "kept" } })
    assert.equal(answer.status, 201)
    const result = JSON.parse((await cloud.kumoi("backup", backup, "--json", "--images")).stdout)
    assert.equal(result.directory, backup)
    assert.ok(result.files > 50 && result.images.areIncluded)
  }
  const dataDir = join(place, "elsewhere")
  const kumoi = join(import.meta.dirname, "../kumoi")
  const port = String(await freePort())
  try {
    const restored = await run(kumoi, ["restore", backup, "--data", dataDir, "--json"])
    assert.ok(JSON.parse(restored.stdout).imagesCopied >= 1)
    const flags = ["--hypervisor", "fake", "--network", "fake", "--detach", "--yes"]
    await run(kumoi, ["up", "--data", dataDir, "--port", port, ...flags])
    const cloud = { dataDir, port, isApart: false } as unknown as TestCloud // what a session asks of it
    const session = await Session.open(cloud, "demo")
    assert.equal(session.projectId, projectId)
    assert.equal((await session.get("/network/v2.0/networks?name=kept")).networks.length, 1)
    await createServer(session, "first")
  } finally {
    await run(kumoi, ["down", "--data", dataDir, "--grace", "0", "--purge"], { isChecked: false })
  }
})

async function attempt(cloud: TestCloud, ...words: [string, ...string[]]) {
  const kumoi = join(import.meta.dirname, "../kumoi")
  const result = await run(kumoi, [...words, "--data", cloud.dataDir], { isChecked: false })
  assert.notEqual(result.exitCode, 0, result.stdout)
  return result
}
