// A disk without room: before the start, and in the middle of work. What was acknowledged stays, and the cloud goes
// on by itself when there is room again.
import assert from "node:assert/strict"
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, freePort, isRoot, processesOf, run, TestCloud } from "./cloud.ts"
import { type Answer, Session } from "./session.ts"

const kumoi = resolve(import.meta.dirname, "../kumoi")
const mib = 1024 * 1024
/** Sparse; a smaller one would have no place for the machines that flavors ask for. */
const diskBytes = 20_480 * mib

const fillsItsDisk = `#!/bin/sh
echo "=== filling" > /dev/console
dd if=/dev/urandom of=/root/fill bs=1M count=60 && sync && echo "=== filled" > /dev/console
`

/** A file system of its own, small and sparse, that a test can fill in no time. */
class SmallDisk implements AsyncDisposable {
  readonly #home = mkdtempSync(join(tmpdir(), "kumoi-disk-"))
  readonly path = join(this.#home, "disk")
  readonly #ballast = join(this.path, "ballast")

  static async make(): Promise<SmallDisk> {
    const disk = new SmallDisk()
    chmodSync(disk.#home, 0o755)
    mkdirSync(disk.path)
    const image = join(disk.#home, "image")
    writeFileSync(image, "")
    truncateSync(image, diskBytes)
    await run("mke2fs", ["-q", "-F", "-t", "ext4", "-m", "0", "-N", "32768", "-O", "^has_journal", image])
    await run("mount", ["-o", "loop", image, disk.path])
    chmodSync(disk.path, 0o755)
    return disk
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }

  async leave(bytes: number): Promise<void> {
    this.empty()
    await run("fallocate", ["-l", String(this.freeBytes - bytes), this.#ballast])
  }

  /** To the last block. */
  async fill(): Promise<void> {
    await this.leave(2 * mib)
    const file = openSync(this.#ballast, "a")
    const block = Buffer.alloc(4096)
    try {
      for (let i = 0; i < (4 * mib) / block.length; i++) writeSync(file, block)
      assert.fail("the disk does not get full")
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error
    } finally {
      closeSync(file)
    }
  }

  empty(): void {
    rmSync(this.#ballast, { force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", [this.path], { isChecked: false })
    rmSync(this.#home, { recursive: true, force: true })
  }
}

describe("a full disk", { skip: isRoot ? false : "a small disk is mounted by root only" }, () => {
  let disk: SmallDisk
  let cloud: TestCloud
  let session: Session
  let create: (name: string, more?: object) => Promise<Answer>

  before(async () => {
    disk = await SmallDisk.make()
  })
  after(async () => {
    disk?.empty()
    await cloud?.[Symbol.asyncDispose]()
    await disk?.[Symbol.asyncDispose]()
  })

  const statusOf = async (id: string) => (await session.server(id)).status

  test("up is refused with the way out, and leaves nothing", async () => {
    await disk.leave(10 * mib)
    const data = join(disk.path, "cloud")
    const drivers = ["--hypervisor", "fake", "--network", "fake", "--port", String(await freePort())]
    const up = await run(kumoi, ["up", "--detach", "--data", data, ...drivers], { isChecked: false })
    assert.equal(up.exitCode, 1)
    assert.match(up.stderr, /The disk is full: \d+ MiB are free .* needs 256 MiB\. .*--data DIR/)
    assert.doesNotMatch(up.stderr, /^\s+at /m)
    assert.ok(!existsSync(data))
    assert.deepEqual(processesOf(data), [])
    disk.empty()
  })

  test("an upload leaves the database its room: 413, and no part of it stays", async () => {
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "fake", parentDir: disk.path })
    session = await Session.open(cloud, "demo")
    const source = join(disk.path, "source")
    writeFileSync(source, "")
    truncateSync(source, 200 * mib)
    await disk.leave(350 * mib)
    const image = ["--disk-format", "raw", "--container-format", "bare", "--file", source, "big"]
    await assert.rejects(cloud.openstack("demo", "image", "create", ...image), /413: Client Error/)
    assert.deepEqual(readdirSync(join(cloud.dataDir, "image/tmp")), [])
    const kept = await session.get("/image/v2/images?name=big")
    assert.deepEqual(
      kept.images.map((i: { status: string }) => i.status),
      [],
      "the client removes the image that it could not fill",
    )
    disk.empty()
  })

  test("a guest that finds no room waits for it, and goes on by itself", async () => {
    const imageRef = await session.imageId("kumoi-guest")
    const uuid = await session.networkId("private")
    create = (name, more = {}) =>
      session.send("POST", "/compute/v2.1/servers", {
        server: {
          name,
          imageRef,
          flavorRef: "84",
          networks: [{ uuid }],
          ...more,
        },
      })
    const userData = Buffer.from(fillsItsDisk).toString("base64")
    const made = await create("writer", { config_drive: true, user_data: userData })
    assert.equal(made.status, 202)
    const { id } = made.body.server
    await session.untilStatus(id, "ACTIVE")
    await disk.leave(40 * mib)
    await session.untilStatus(id, "PAUSED")
    disk.empty()
    await session.untilStatus(id, "ACTIVE")
    await eventually("its write to succeed", async () => (await session.consoleOf(id)).includes("=== filled"))
    await session.send("DELETE", `/compute/v2.1/servers/${id}`)
  })

  test("requests are refused with a reason, and those that were taken are kept", async () => {
    const mainPid = await cloud.mainPid()
    await disk.fill()
    const answers: Answer[] = []
    for (let i = 0; i < 6; i++) answers.push(await create(`full-${i}`))
    const taken = answers.filter((a) => a.status === 202).map((a) => a.body.server.id)
    for (const refused of answers.filter((a) => a.status !== 202)) {
      assert.equal(refused.status, 503, JSON.stringify(refused.body))
      assert.match(refused.body.serviceUnavailable.message, /disk is full|not reachable/)
      assert.ok(Number(refused.headers.get("retry-after")) > 0)
    }
    disk.empty()
    await eventually("the cloud to take servers again", async () => {
      const again = await create("after")
      if (again.status === 202) taken.push(again.body.server.id)
      return again.status === 202
    })
    for (const id of taken) {
      await eventually(`server ${id} to end in ACTIVE or ERROR`, async () => (await statusOf(id)) !== "BUILD")
      const { server } = await session.get(`/compute/v2.1/servers/${id}`)
      if (server.status === "ERROR") assert.match(server.fault.message, /\w+ .*\./)
      else assert.equal(server.status, "ACTIVE")
    }
    assert.equal(await statusOf(taken.at(-1)), "ACTIVE")
    assert.equal(await cloud.mainPid(), mainPid, "the cloud's own process has not ended")
  })

  test("down works without room as well, and leaves no process", async () => {
    await disk.fill()
    await cloud.kumoi("down", "--grace", "0")
    const { cloudId } = JSON.parse(readFileSync(join(cloud.dataDir, "cloud.json"), "utf8"))
    assert.deepEqual(processesOf(cloud.dataDir, `kumoi-${cloudId}`), [])
    const up = cloud.up()
    await assert.rejects(up, /The disk is full: 0 MiB are free .* its data are untouched/)
    disk.empty()
    await cloud.up()
    const servers = (await (await Session.open(cloud, "demo")).get("/compute/v2.1/servers")).servers
    assert.ok(servers.some((s: { name: string }) => s.name === "after"))
  })
})
