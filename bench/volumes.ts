// What a volume takes, from the request to the status that says that it is done: over fake drivers what the control
// plane itself costs, and as root with files and QEMU, there also its data.
import { setTimeout as delay } from "node:timers/promises"
import { bootWithinMs } from "./boot.ts"
import { prepareServers } from "./boots.ts"
import { call, logIn, type Session } from "./client.ts"
import { BenchCloud } from "./cloud.ts"
import type { Held } from "./held.ts"
import type { Report } from "./report.ts"
import { measureVolumeData } from "./volume-data.ts"

interface Kind {
  name: string
  hypervisor: "fake" | "qemu"
  /** Milliseconds of each step. */
  target: number
}

const kinds: readonly Kind[] = [
  { name: "fake", hypervisor: "fake", target: 15 },
  { name: "file", hypervisor: "qemu", target: 60 },
]

export async function measureVolumes(
  report: Report,
  held: Held,
  { repeat }: { repeat: number },
): Promise<void> {
  for (const kind of kinds) {
    if (kind.hypervisor === "qemu" && process.getuid?.() !== 0) continue
    const own = held.scope()
    const cloud = await BenchCloud.prepare(own, { hypervisor: kind.hypervisor, network: "fake" })
    await cloud.start()
    const admin = await logIn(cloud.url, "admin", cloud.passwords.admin, "admin")
    await measureKind(report, admin, kind, repeat)
    if (kind.hypervisor === "qemu") await measureVolumeData(report, own, { cloud, session: admin, repeat })
    await own[Symbol.asyncDispose]()
  }
}

const steps = ["create", "attach", "detach", "snapshot", "delete"] as const
type Step = (typeof steps)[number]

async function measureKind(report: Report, admin: Session, kind: Kind, repeat: number): Promise<void> {
  const serverId = await bootServer(admin, kind.hypervisor === "qemu")
  const taken: Record<Step, number[]> = { create: [], attach: [], detach: [], snapshot: [], delete: [] }
  // The first of each prepares what the others find.
  for (let i = 0; i <= 4 * repeat; i++) {
    const times = await oneVolume(admin, serverId)
    if (i > 0) for (const step of steps) taken[step].push(times[step])
  }
  for (const step of steps) {
    const target = step === "snapshot" ? {} : { target: kind.target }
    report.addRuns(`volume ${step}, ${kind.name}`, taken[step], "ms", target)
  }
}

async function bootServer(admin: Session, isReal: boolean): Promise<string> {
  const body = { server: { ...(await prepareServers(admin)), name: "vm", config_drive: true } }
  const { server } = await call<{ server: { id: string } }>(admin, "POST", "/compute/v2.1/servers", body)
  const path = `/compute/v2.1/servers/${server.id}`
  const isActive = async () =>
    (await call<{ server: { status: string } }>(admin, "GET", path)).server.status === "ACTIVE"
  await until("the server", isActive, 50)
  // A guest that is still on its way lets go of nothing.
  type Console = { output: string }
  const ask = { "os-getConsoleOutput": {} }
  const isReady = async () =>
    /(ready|login): ?/.test((await call<Console>(admin, "POST", `${path}/action`, ask)).output)
  if (isReal) await until("the guest", isReady, 200)
  return server.id
}

async function oneVolume(admin: Session, serverId: string): Promise<Record<Step, number>> {
  type Volume = { volume: { id: string; status: string } }
  let id = ""
  const path = () => `/volume/v3/volumes/${id}`
  const is = (status: string) => async () =>
    (await call<Volume>(admin, "GET", path())).volume.status === status
  const create = await timed(async () => {
    id = (await call<Volume>(admin, "POST", "/volume/v3/volumes", { volume: { size: 1 } })).volume.id
  }, is("available"))
  const attachments = `/compute/v2.1/servers/${serverId}/os-volume_attachments`
  const attach = await timed(
    () => call(admin, "POST", attachments, { volumeAttachment: { volumeId: id } }),
    is("in-use"),
  )
  const detach = await timed(() => call(admin, "DELETE", `${attachments}/${id}`), is("available"))
  type Snapshot = { snapshot: { id: string; status: string } }
  let snapshotId = ""
  const snapshotPath = () => `/volume/v3/snapshots/${snapshotId}`
  const snapshot = await timed(
    async () => {
      const body = { snapshot: { volume_id: id } }
      snapshotId = (await call<Snapshot>(admin, "POST", "/volume/v3/snapshots", body)).snapshot.id
    },
    async () => (await call<Snapshot>(admin, "GET", snapshotPath())).snapshot.status === "available",
  )
  await timed(() => call(admin, "DELETE", snapshotPath()), isGone(admin, snapshotPath()))
  const remove = await timed(() => call(admin, "DELETE", path()), isGone(admin, path()))
  return { create, attach, detach, snapshot, delete: remove }
}

const isGone = (session: Session, path: string) => async () => {
  const response = await fetch(`${session.url}${path}`, { headers: { "x-auth-token": session.token } })
  await response.arrayBuffer()
  return response.status === 404
}

const askEveryMs = 2

/** Milliseconds from the request on, asked as a client would. */
async function timed(work: () => Promise<unknown>, isDone: () => Promise<boolean>): Promise<number> {
  const startedMs = performance.now()
  await work()
  await until("a volume", isDone, askEveryMs)
  return performance.now() - startedMs
}

async function until(what: string, isDone: () => Promise<boolean>, everyMs: number): Promise<void> {
  const startedMs = performance.now()
  while (!(await isDone())) {
    // A guest that is emulated takes its time.
    if (performance.now() - startedMs > bootWithinMs) throw new Error(`${what} does not come so far`)
    await delay(everyMs)
  }
}
