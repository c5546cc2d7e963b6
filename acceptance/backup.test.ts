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

/** Returns its id when it runs. */
async function createServer(session: Session, name: string): Promise<string> {
  const id = await session.createServer({ name })
  await session.untilStatus(id, "ACTIVE")
  return id
}

async function stopAndStart(session: Session, id: string): Promise<void> {
  await session.act(id, "os-stop")
  await session.untilStatus(id, "SHUTOFF")
  await session.act(id, "os-start")
  await session.untilStatus(id, "ACTIVE")
}

async function createImage(cloud: TestCloud, session: Session, name: string): Promise<string> {
  const file = join(place, name)
  appendFileSync(file, `the data of ${name}`)
  const attributes = ["--disk-format", "raw", "--container-format", "bare", "-f", "value", "-c", "id"]
  const id = await cloud.openstack("demo", "image", "create", "--file", file, ...attributes, name)
  assert.equal((await session.get(`/image/v2/images/${id}`)).status, "active")
  return id
}

/** Of a volume of its own. Returns the backup's id when it is whole. */
async function createVolumeBackup(session: Session): Promise<string> {
  const base = "/volume/v3"
  const untilAvailable = async (kind: string, id: string) =>
    await eventually(`the ${kind} to be available`, async () => {
      const { status } = (await session.get(`${base}/${kind}s/${id}`))[kind]
      assert.notEqual(status, "error")
      return status === "available"
    })
  const { volume } = await session.must("POST", `${base}/volumes`, { volume: { size: 1 } })
  await untilAvailable("volume", volume.id)
  const { backup } = await session.must("POST", `${base}/backups`, { backup: { volume_id: volume.id } })
  await untilAvailable("backup", backup.id)
  return backup.id
}

async function volumeBackups(cloud: TestCloud): Promise<{ unknown: number; missing: string[] }> {
  const said = JSON.parse((await cloud.kumoi("volume-backup", "unknown", "--json")).stdout)
  return {
    unknown: said.data.length,
    missing: said.missing.map(({ backupId }: { backupId: string }) => backupId),
  }
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
  const oldBackup = await createVolumeBackup(session)
  const backup = join(place, "first")
  const { stdout } = await cloud.kumoi("backup", backup, "--images", "--volume-backups")
  assert.match(stdout, /database: \d+ tables.*\n.*files.*backups of volumes: 1 \(copied/s)
  assert.equal(statSync(backup).mode & 0o077, 0)
  // Never over another one; never from or into what is not right.
  assert.match((await attempt(cloud, "backup", backup)).stderr, /is not empty/)
  assert.match((await attempt(cloud, "restore", backup)).stderr, /is running/)

  // The generations of what is known rise, too.
  for (let i = 0; i < 2; i++) await stopAndStart(session, known)
  const created = await createServer(session, "created-since")
  const newImage = await createImage(cloud, session, "new-image")
  await session.must("DELETE", `/image/v2/images/${oldImage}`)
  await session.deleteServer(deleted)
  await createVolumeBackup(session)
  await session.must("DELETE", `/volume/v3/backups/${oldBackup}`)
  const store = join(cloud.dataDir, "volume-backups/volumebackups")
  await eventually("the old backup's data to be gone", async () => readdirSync(store).length === 1)
  assert.deepEqual(await volumeBackups(cloud), { unknown: 0, missing: [] })
  // Only a host that was in the cloud's epoch can tell that the database is older than its machines.
  const epoch = join(cloud.dataDir, "agent/epoch.json")
  await eventually("the host to be in the cloud's epoch", async () => existsSync(epoch))
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
  await again.untilStatus(known, "ACTIVE")
  await stopAndStart(again, known)
  assert.equal((await again.send("GET", `/compute/v2.1/servers/${created}`)).status, 404)
  // What was destroyed since is in error and not made anew.
  await again.untilStatus(deleted, "ERROR")
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
  const newFile = stored.find((file) => file.startsWith(newImage))
  assert.ok(newFile)
  const unknown = JSON.parse((await cloud.kumoi("image", "unknown", "--json")).stdout).files
  assert.deepEqual(
    unknown.map(({ id, isSetAside }: { id: string; isSetAside: boolean }) => [id, isSetAside]),
    [[`store/${newFile}`, false]],
  )

  // So is the volume that was made since.
  const volumes = JSON.parse((await cloud.kumoi("volume", "unknown", "--json")).stdout)
  assert.deepEqual([volumes.unknown.length, volumes.missing, volumes.silent], [1, [], []])

  // The old backup's data are back, and what was backed up since is there and listed.
  assert.deepEqual(await volumeBackups(cloud), { unknown: 1, missing: [] })

  // A destroy keeps the disks until the host agrees with the database.
  await again.send("DELETE", `/compute/v2.1/servers/${deleted}`)
  const adopted = await cloud.kumoi("host", "adopt", created)
  assert.match(adopted.stdout, new RegExp(`server ${created} .* is active`))
  await stopAndStart(again, created)
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
    await session.must("POST", "/network/v2.0/networks", { network: { name: "kept" } })
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
