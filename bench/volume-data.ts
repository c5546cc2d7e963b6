// Data of images and volumes: how fast they come and go, beside what the machine's own programs take for the same
// bytes, and what a guest gets of a volume, beside the same file under the bare QEMU.
import { randomFillSync } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdtemp, open, rm, stat, truncate } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { prepareServers } from "./boots.ts"
import { call, type Session } from "./client.ts"
import type { BenchCloud } from "./cloud.ts"
import { run } from "./command.ts"
import type { Held } from "./held.ts"
import { median, type Report } from "./report.ts"
import { measureGuestIo } from "./volume-io.ts"
import { longMs, until, untilStatus } from "./wait.ts"

const mib = 1024 ** 2
const dataMib = 256
const bootGib = 2

interface Measuring {
  report: Report
  session: Session
  /** For files of this run's own. */
  directory: string
  repeat: number
}

export async function measureVolumeData(
  report: Report,
  held: Held,
  { cloud, session, repeat }: { cloud: BenchCloud; session: Session; repeat: number },
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "kumoi-bench-data-"))
  held.defer(() => rm(directory, { recursive: true, force: true }))
  const measuring = { report, session, directory, repeat }
  // Of the guest's image: the first one is the newest.
  const server = await prepareServers(session)
  const imageId = await measureImages(measuring)
  await measureBackups(measuring, imageId)
  await measureBoots(measuring, server)
  await measureGuestIo(report, held, { cloud, session, directory, server })
}

/** Of data that nothing can leave out or share. Returns an image of them. */
async function measureImages({ report, session, directory, repeat }: Measuring): Promise<string> {
  const path = join(directory, "data.raw")
  await writeNoise(path, 0, dataMib * mib)
  const [copied, uploaded, read, downloaded]: [number[], number[], number[], number[]] = [[], [], [], []]
  let imageId = ""
  for (let i = 0; i <= repeat; i++) {
    const copy = join(directory, "copy.raw")
    const cp = await secondsOf(async () => {
      await run("cp", ["--reflink=never", path, copy], { timeoutMs: longMs })
      await run("sync", [copy], { timeoutMs: longMs })
    })
    if (imageId) await call(session, "DELETE", `/image/v2/images/${imageId}`)
    imageId = await makeImage(session, "data")
    const put = await secondsOf(() => uploadImage(session, imageId, path))
    const cat = await secondsOf(() => run("cp", [copy, "/dev/null"], { timeoutMs: longMs }))
    const get = await secondsOf(() => downloadImage(session, imageId))
    await rm(copy)
    if (i === 0 && repeat > 1) continue
    copied.push(cp)
    uploaded.push(put)
    read.push(cat)
    downloaded.push(get)
  }
  addSpeed(report, "image upload", uploaded, { name: "cp and sync", seconds: copied })
  addSpeed(report, "image download", downloaded, { name: "cp to /dev/null", seconds: read })
  return imageId
}

async function measureBackups({ report, session, repeat }: Measuring, imageId: string): Promise<void> {
  const { volume } = await call<{ volume: { id: string } }>(session, "POST", "/volume/v3/volumes", {
    volume: { size: 1, imageRef: imageId },
  })
  const path = `/volume/v3/volumes/${volume.id}`
  await untilStatus(session, path, "volume", "available")
  const taken: number[] = []
  for (let i = 0; i < repeat; i++) {
    let backupPath = ""
    taken.push(
      await secondsOf(async () => {
        const body = { backup: { volume_id: volume.id } }
        const made = await call<{ backup: { id: string } }>(session, "POST", "/volume/v3/backups", body)
        backupPath = `/volume/v3/backups/${made.backup.id}`
        await untilStatus(session, backupPath, "backup", "available")
      }),
    )
    await call(session, "DELETE", backupPath)
    await untilGone(session, backupPath)
  }
  addSpeed(report, "volume backup", taken)
  await call(session, "DELETE", path)
}

/** A server of a new volume of an image that its host has not seen yet, and of the same image again. */
async function measureBoots(
  { report, session, directory }: Measuring,
  server: Record<string, unknown>,
): Promise<void> {
  const { imageRef, ...others } = server
  const path = join(directory, "boot.raw")
  const image = join(directory, "guest.image")
  await downloadImage(session, String(imageRef), image)
  await run("qemu-img", ["convert", "-O", "raw", image, path], { timeoutMs: longMs })
  const { size } = await stat(path)
  await truncate(path, bootGib * 1024 * mib)
  await writeNoise(path, size, bootGib * 1024 * mib)
  const imageId = await makeImage(session, "boot")
  await uploadImage(session, imageId, path)
  const root = {
    ...{ boot_index: 0, source_type: "image", uuid: imageId, destination_type: "volume" },
    ...{ volume_size: bootGib + 1, delete_on_termination: true },
  }
  for (const how of ["cold", "warm"]) {
    let serverPath = ""
    const seconds = await secondsOf(async () => {
      const made = await call<{ server: { id: string } }>(session, "POST", "/compute/v2.1/servers", {
        server: { ...others, name: how, block_device_mapping_v2: [root] },
      })
      serverPath = `/compute/v2.1/servers/${made.server.id}`
      await untilStatus(session, serverPath, "server", "ACTIVE")
    })
    report.addRuns(`server of a volume of a ${bootGib} GiB image to ACTIVE, ${how}`, [seconds], "s")
    await call(session, "DELETE", serverPath)
    await untilGone(session, serverPath)
  }
}

async function makeImage(session: Session, name: string): Promise<string> {
  const body = { name, disk_format: "raw", container_format: "bare" }
  return (await call<{ id: string }>(session, "POST", "/image/v2/images", body)).id
}

async function uploadImage({ url, token }: Session, imageId: string, path: string): Promise<void> {
  const response = await fetch(`${url}/image/v2/images/${imageId}/file`, {
    method: "PUT",
    headers: { "x-auth-token": token, "content-type": "application/octet-stream" },
    body: Readable.toWeb(createReadStream(path, { highWaterMark: mib })) as ReadableStream,
    duplex: "half",
  } as RequestInit)
  if (!response.ok) throw new Error(`upload: ${response.status} ${await response.text()}`)
}

/** Nowhere, when no file is named. */
async function downloadImage({ url, token }: Session, imageId: string, path?: string): Promise<void> {
  const response = await fetch(`${url}/image/v2/images/${imageId}/file`, {
    headers: { "x-auth-token": token },
  })
  if (!response.ok || !response.body) throw new Error(`download: ${response.status}`)
  await using file = path === undefined ? undefined : await open(path, "w")
  for await (const chunk of response.body) await file?.writeFile(chunk)
}

async function writeNoise(path: string, fromBytes: number, toBytes: number): Promise<void> {
  await using file = await open(path, fromBytes === 0 ? "w" : "r+")
  const noise = Buffer.alloc(mib)
  for (let at = fromBytes; at < toBytes; ) {
    randomFillSync(noise)
    const length = Math.min(noise.length, toBytes - at)
    await file.write(noise, 0, length, at)
    at += length
  }
  await file.sync()
}

function addSpeed(
  report: Report,
  what: string,
  seconds: number[],
  beside?: { name: string; seconds: number[] },
): void {
  const perSecond = (all: number[]) => dataMib / median(all)
  report.add(
    `${what}, ${dataMib} MiB`,
    [
      { name: "MiB", value: perSecond(seconds), unit: "/s" },
      ...(beside
        ? [
            { name: `${beside.name}, MiB`, value: perSecond(beside.seconds), unit: "/s" as const },
            { name: "time against it", value: median(seconds) / median(beside.seconds), unit: "x" as const },
          ]
        : []),
    ],
    { samples: seconds, note: `${seconds.length} runs` },
  )
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (performance.now() - startedMs) / 1000
}

async function untilGone({ url, token }: Session, path: string): Promise<void> {
  await until(`${path} to be gone`, async () => {
    const response = await fetch(`${url}${path}`, { headers: { "x-auth-token": token } })
    await response.arrayBuffer()
    return response.status === 404
  })
}
