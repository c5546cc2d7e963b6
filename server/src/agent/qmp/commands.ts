// One function per QMP command that we use. QEMU's schema is the contract, so answers are taken as they come.
import type { QmpConnection } from "./connection.ts"
import { QmpError } from "./errors.ts"

/** What a command needs of a connection. */
export type Qmp = Pick<QmpConnection, "execute">

export interface RunStatus {
  status:
    | "debug"
    | "finish-migrate"
    | "guest-panicked"
    | "inmigrate"
    | "internal-error"
    | "io-error"
    | "paused"
    | "postmigrate"
    | "prelaunch"
    | "restore-vm"
    | "running"
    | "save-vm"
    | "shutdown"
    | "suspended"
    | "watchdog"
  running: boolean
}

export async function queryStatus(qmp: Qmp): Promise<RunStatus> {
  return (await qmp.execute("query-status")) as RunStatus
}

export async function queryVersion(qmp: Qmp): Promise<{ major: number; minor: number; micro: number }> {
  const answer = (await qmp.execute("query-version")) as {
    qemu: { major: number; minor: number; micro: number }
  }
  return answer.qemu
}

/** Whether the processor's own virtualisation runs the guest, not an emulation. */
export async function usesKvm(qmp: Qmp): Promise<boolean> {
  return ((await qmp.execute("query-kvm")) as { enabled: boolean }).enabled
}

/** Pauses the guest's processors; also flushes what the block layer holds. */
export async function stopGuest(qmp: Qmp, options: { timeoutMs?: number } = {}): Promise<void> {
  await qmp.execute("stop", {}, options)
}

export async function continueGuest(qmp: Qmp): Promise<void> {
  await qmp.execute("cont")
}

/** Presses the ACPI power button; what the guest does then is its affair. */
export async function pressPowerButton(qmp: Qmp): Promise<void> {
  await qmp.execute("system_powerdown")
}

/** On every processor, where it cannot be masked. */
export async function injectNmi(qmp: Qmp): Promise<void> {
  await qmp.execute("inject-nmi")
}

export async function resetGuest(qmp: Qmp): Promise<void> {
  await qmp.execute("system_reset")
}

/** QEMU flushes its disks and ends. */
export async function quitQemu(qmp: Qmp): Promise<void> {
  await qmp.execute("quit")
}

/** Writes a picture of the screen to a file on the host. */
export async function dumpScreen(qmp: Qmp, path: string, format: "ppm" | "png" = "png"): Promise<void> {
  await qmp.execute("screendump", { filename: path, format })
}

export async function addObject(
  qmp: Qmp,
  object: { "qom-type": string; id: string } & Record<string, unknown>,
): Promise<void> {
  await qmp.execute("object-add", object)
}

export async function deleteObject(qmp: Qmp, id: string): Promise<void> {
  await qmp.execute("object-del", { id })
}

export type BlockdevOptions = { driver: string; "node-name"?: string } & Record<string, unknown>

export async function addBlockdev(
  qmp: Qmp,
  options: BlockdevOptions & { "node-name": string },
): Promise<void> {
  await qmp.execute("blockdev-add", options)
}

export async function deleteBlockdev(qmp: Qmp, nodeName: string): Promise<void> {
  await qmp.execute("blockdev-del", { "node-name": nodeName })
}

export async function resizeBlockdev(qmp: Qmp, nodeName: string, sizeBytes: number): Promise<void> {
  await qmp.execute("block_resize", { "node-name": nodeName, size: sizeBytes })
}

export async function addDevice(
  qmp: Qmp,
  device: { driver: string; id: string } & Record<string, unknown>,
): Promise<void> {
  await qmp.execute("device_add", device)
}

/** Asks the guest to let go of the device; the event DEVICE_DELETED says when it has. */
export async function deleteDevice(qmp: Qmp, id: string): Promise<void> {
  await qmp.execute("device_del", { id })
}

export async function addNetdev(
  qmp: Qmp,
  netdev: { type: string; id: string } & Record<string, unknown>,
): Promise<void> {
  await qmp.execute("netdev_add", netdev)
}

export async function deleteNetdev(qmp: Qmp, id: string): Promise<void> {
  await qmp.execute("netdev_del", { id })
}

export interface BlockStats {
  device?: string
  qdev?: string
  "node-name"?: string
  stats: {
    rd_bytes: number
    wr_bytes: number
    rd_operations: number
    wr_operations: number
    failed_rd_operations?: number
    failed_wr_operations?: number
    failed_flush_operations?: number
  }
}

export async function queryBlockStats(qmp: Qmp): Promise<BlockStats[]> {
  return (await qmp.execute("query-blockstats")) as BlockStats[]
}

export interface CpuFast {
  "cpu-index": number
  "thread-id": number
}

export async function queryCpusFast(qmp: Qmp): Promise<CpuFast[]> {
  return (await qmp.execute("query-cpus-fast")) as CpuFast[]
}

/** Bytes that the guest has now; less than it was given when the balloon is inflated. */
export async function queryBalloon(qmp: Qmp): Promise<{ actual: number }> {
  return (await qmp.execute("query-balloon")) as { actual: number }
}

export async function setBalloon(qmp: Qmp, sizeBytes: number): Promise<void> {
  await qmp.execute("balloon", { value: sizeBytes })
}

/** From here on writes go to `overlay`; `node` becomes its read-only backing. */
export async function snapshotBlockdev(qmp: Qmp, node: string, overlay: string): Promise<void> {
  await qmp.execute("blockdev-snapshot", { node, overlay })
}

/** A copy of the disk as it is at the start of the job, made while the guest runs. */
export async function backupBlockdev(
  qmp: Qmp,
  job: { "job-id": string; device: string; target: string; sync: "full" | "top" | "none"; speed?: number },
): Promise<void> {
  await qmp.execute("blockdev-backup", job)
}

/** A copy that follows the disk until `completeBlockJob` or `cancelBlockJob`. */
export async function mirrorBlockdev(
  qmp: Qmp,
  job: { "job-id": string; device: string; target: string; sync: "full" | "top" | "none"; speed?: number },
): Promise<void> {
  await qmp.execute("blockdev-mirror", job)
}

/** As `mirrorBlockdev`, where each write of the guest is in both before it is told of it; see `startBackups`. */
export async function startMirror(
  qmp: Qmp,
  job: { "job-id": string; device: string; target: string; sync?: "full" | "top" },
): Promise<void> {
  const how = { "copy-mode": "write-blocking", "auto-dismiss": false }
  await qmp.execute("blockdev-mirror", { sync: "full", ...job, ...how })
}

/** Others write to and read from nodes that are exported, over a unix socket that QEMU makes. */
export async function startNbdServer(qmp: Qmp, path: string, connectionsMost: number): Promise<void> {
  const addr = { type: "unix", data: { path } }
  await qmp.execute("nbd-server-start", { addr, "max-connections": connectionsMost })
}

/** Ends its connections and takes its exports back. */
export async function stopNbdServer(qmp: Qmp): Promise<void> {
  await qmp.execute("nbd-server-stop")
}

/** By the name of the node, for reading and writing. */
export async function exportBlock(qmp: Qmp, node: string): Promise<void> {
  const how = { type: "nbd", id: `export-${node}`, name: node, writable: true }
  await qmp.execute("block-export-add", { ...how, "node-name": node })
}

/** A node that was another QEMU's while a guest was on its way is this one's. */
export async function setNodeActive(qmp: Qmp, node: string): Promise<void> {
  await qmp.execute("blockdev-set-active", { "node-name": node, active: true })
}

/** What QEMU says against the export of a node where there is no server. */
export async function tryExport(qmp: Qmp, node: string): Promise<string> {
  try {
    await exportBlock(qmp, node)
  } catch (error) {
    if (error instanceof QmpError) return error.message
    throw error
  }
  throw new Error(`node ${node} is exported, and nobody has started a server`)
}

/** The node keeps its name and whoever uses it; everything that is not said goes back to its default. */
export async function reopenBlockdev(
  qmp: Qmp,
  options: BlockdevOptions & { "node-name": string },
): Promise<void> {
  await qmp.execute("blockdev-reopen", { options: [options] })
}

export interface Backup {
  "job-id": string
  device: string
  target: string
}

/**
 * As `backupBlockdev`, all of one moment: what the guest writes from then on gets into none of them. A job waits, when
 * it is over, until it is dismissed: its end is not missed then.
 */
export async function startBackups(qmp: Qmp, backups: readonly Backup[]): Promise<void> {
  const actions = backups.map((backup) => ({
    type: "blockdev-backup",
    data: { ...backup, sync: "full", "auto-dismiss": false },
  }))
  await qmp.execute("transaction", { actions })
}

export interface Job {
  id: string
  status: string
  error?: string
}

export async function queryJobs(qmp: Qmp): Promise<Job[]> {
  return (await qmp.execute("query-jobs")) as Job[]
}

export async function cancelJob(qmp: Qmp, id: string): Promise<void> {
  await qmp.execute("job-cancel", { id })
}

export async function dismissJob(qmp: Qmp, id: string): Promise<void> {
  await qmp.execute("job-dismiss", { id })
}

export interface BlockNode {
  "node-name": string
  /** Of the file that it has open. */
  file: string
  image: { "virtual-size": number }
}

export async function setThrottleLimits(
  qmp: Qmp,
  id: string,
  limits: Readonly<Record<string, number>>,
): Promise<void> {
  await qmp.execute("qom-set", { path: `/objects/${id}`, property: "limits", value: limits })
}

export async function queryBlockNodes(qmp: Qmp): Promise<BlockNode[]> {
  return (await qmp.execute("query-named-block-nodes", { flat: true })) as BlockNode[]
}

export interface BlockJob {
  device: string
  type: string
  len: number
  offset: number
  status: string
  ready?: boolean
  error?: string
}

export async function queryBlockJobs(qmp: Qmp): Promise<BlockJob[]> {
  return (await qmp.execute("query-block-jobs")) as BlockJob[]
}

export async function cancelBlockJob(qmp: Qmp, jobId: string, force = false): Promise<void> {
  await qmp.execute("block-job-cancel", { device: jobId, force })
}

export async function completeBlockJob(qmp: Qmp, jobId: string): Promise<void> {
  await qmp.execute("block-job-complete", { device: jobId })
}

export interface PciDevice {
  /** Empty for what the machine type brings along. */
  qdev_id: string
  slot: number
  function: number
  pci_bridge?: { devices?: PciDevice[] }
}

export interface PciBus {
  devices: PciDevice[]
}

export async function queryPci(qmp: Qmp): Promise<PciBus[]> {
  return (await qmp.execute("query-pci")) as PciBus[]
}

/** With its version, also when an alias was asked for: `pc-i440fx-7.2`. */
export async function queryMachineType(qmp: Qmp): Promise<string> {
  const type = (await qmp.execute("qom-get", { path: "/machine", property: "type" })) as string
  return type.replace(/-machine$/, "")
}

export interface Migration {
  status?:
    | "none"
    | "setup"
    | "active"
    | "pre-switchover"
    | "device"
    | "cancelling"
    | "cancelled"
    | "completed"
    | "failed"
  "error-desc"?: string
  /** Milliseconds, at its end. */
  downtime?: number
  "total-time"?: number
  /** Bytes. */
  ram?: { total: number; transferred: number; remaining: number }
}

export async function queryMigration(qmp: Qmp): Promise<Migration> {
  return (await qmp.execute("query-migrate")) as Migration
}

export interface MigrationHow {
  /** It halts the guest and waits for `continueMigration` before the other side may have the disks. */
  pausesBeforeSwitchover?: boolean
  /** A guest that writes faster than it can be sent is slowed down. */
  slowsGuest?: boolean
  /** Bytes a second; left out: as fast as it goes, where QEMU's default spares a network. */
  mostBytesPerSecond?: number
  /** How long the guest may stand still at the end, as far as that can be foreseen. */
  downtimeMs?: number
}

/** Sends the whole state of the guest; returns at once. */
export async function startMigration(qmp: Qmp, uri: string, how: MigrationHow = {}): Promise<void> {
  const { pausesBeforeSwitchover = false, slowsGuest = false, mostBytesPerSecond, downtimeMs } = how
  await qmp.execute("migrate-set-capabilities", {
    capabilities: [
      { capability: "pause-before-switchover", state: pausesBeforeSwitchover },
      { capability: "auto-converge", state: slowsGuest },
    ],
  })
  await qmp.execute("migrate-set-parameters", {
    "max-bandwidth": mostBytesPerSecond ?? 2 ** 40,
    ...(downtimeMs === undefined ? {} : { "downtime-limit": downtimeMs }),
  })
  await qmp.execute("migrate", { uri })
}

export async function continueMigration(qmp: Qmp): Promise<void> {
  await qmp.execute("migrate-continue", { state: "pre-switchover" })
}

export async function cancelMigration(qmp: Qmp): Promise<void> {
  await qmp.execute("migrate_cancel")
}

/**
 * Of a QEMU that was started with `-incoming defer`: takes what comes over a socket that it makes. What it has open it
 * neither locks nor believes to be its own before the guest goes on.
 */
export async function receiveMigration(qmp: Qmp, uri: string): Promise<void> {
  await qmp.execute("migrate-set-capabilities", {
    capabilities: [{ capability: "late-block-activate", state: true }],
  })
  await qmp.execute("migrate-incoming", { uri })
}
