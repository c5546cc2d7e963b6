// An agent over real QEMU for tests, and the spec of a tiny machine.
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import type { Logger } from "../../platform/log/log.ts"
import { type Agent, createAgent } from "../agent.ts"
import type { StreamDialer } from "../consoles.ts"
import { QemuHypervisor, type QemuOptions } from "../hypervisor/qemu/qemu.ts"
import { createImageCache } from "../image-cache/image-cache.ts"
import type { ImageStore } from "../image-cache/image-store.ts"
import { agentDirectories } from "../machine-store.ts"
import type { PortPlugger } from "../ports/port-plugger.ts"
import type { AgentReport, DiskSpec, VmSpec } from "../protocol.ts"
import type { StartRightsSource } from "../start-rights.ts"
import type { BackupStore } from "../volumes/backup-store.ts"
import { FileVolumeDriver } from "../volumes/file-driver.ts"
import type { VolumeDriver } from "../volumes/volume-driver.ts"
import type { VolumeKeys } from "../volumes/volume-keys.ts"
import { MemoryBackups } from "./memory-backups.ts"
import type { TinyGuest } from "./tiny-guest.ts"

export interface QemuAgent {
  agent: Agent
  hypervisor: QemuHypervisor
  reports: AgentReport[]
  plugged: Set<string>
}

/** A network that leads nowhere, and remembers what is plugged into it. */
export function memoryPlugger(plugged: Set<string>): PortPlugger {
  return {
    name: "memory",
    plug: async (vif) => {
      plugged.add(vif.portId)
      return { device: null }
    },
    unplug: async (portId) => {
      plugged.delete(portId)
    },
    list: async () => [...plugged],
    commandPrefix: () => [],
  }
}

/** No server has left the host. */
export const allMayStart: StartRightsSource = {
  of: async ({ serverIds: start }) => ({ start, leave: [] }),
}
/** The cloud has no encrypted volume here. */
export const noVolumeKeys: VolumeKeys = {
  of: () => Promise.reject(new Error("no keys here")),
  connect: () => Promise.reject(new Error("no other hosts here")),
  ofTpm: () => Promise.reject(new Error("no TPMs here")),
}

/** Nobody waits for a machine's streams. */
export const noStreams: StreamDialer = { dial: () => Promise.reject(new Error("no streams here")) }

const rootImage = Buffer.alloc(8 * 1024 * 1024, "kumoi root disk ")

export async function makeQemuAgent(options: {
  dataDir: string
  guest: TinyGuest
  clock: Clock
  log: Logger
  bootId?: () => string
  /** More files of the image store, by the image's id. */
  images?: Record<string, string>
  /** Default: nothing is stored. */
  store?: ImageStore["store"]
  backups?: BackupStore
  volumeKeys?: VolumeKeys
  /** Default: whatever ran may. */
  startRights?: StartRightsSource
  qemu?: Partial<QemuOptions>
  /** More back ends, beside the host's own. */
  volumes?: readonly VolumeDriver[]
  /** Default: nobody waits for a machine's streams. */
  streams?: StreamDialer
}): Promise<QemuAgent> {
  const { dataDir, guest, clock, log } = options
  const directories = agentDirectories(dataDir)
  mkdirSync(directories.vms, { recursive: true, mode: 0o711 })
  const store = join(dataDir, "images")
  mkdirSync(store, { recursive: true })
  writeFileSync(join(store, "root"), rootImage)
  const paths: Record<string, string> = {
    root: join(store, "root"),
    kernel: guest.kernel,
    ramdisk: guest.ramdisk,
    ...options.images,
  }
  const hypervisor = new QemuHypervisor({
    host: "host1",
    hostIp: "127.0.0.1",
    vmsDir: directories.vms,
    clock,
    log,
    accelerator: "tcg",
    ...options.qemu,
  })
  const images = createImageCache({
    dir: directories.images,
    source: { open: async (imageId) => ({ path: paths[imageId] ?? "/none" }) },
    limitBytes: 1024 ** 3,
    clock,
    log,
  })
  const reports: AgentReport[] = []
  const plugged = new Set<string>()
  const agent = createAgent({
    host: "host1",
    hypervisor,
    ports: memoryPlugger(plugged),
    images,
    volumes: [
      ...["file", "other"].map((name) => new FileVolumeDriver(join(directories.volumes, name), { name })),
      ...(options.volumes ?? []),
    ],
    imageStore: { store: options.store ?? (async () => {}) },
    backups: options.backups ?? new MemoryBackups(),
    volumeKeys: options.volumeKeys ?? noVolumeKeys,
    startRights: options.startRights ?? allMayStart,
    streams: options.streams ?? noStreams,
    metadata: null,
    dataDir,
    log,
    clock,
    report: (report) => reports.push(report),
    ...(options.bootId ? { bootId: options.bootId } : {}),
  })
  tinyFiles = guest
  return { agent, hypervisor, reports, plugged }
}

let tinyFiles: TinyGuest | undefined

/** Of files that stay as they are. */
const sums = new Map<string, string>()

function md5Of(path: string): string {
  const sum = sums.get(path) ?? md5(readFileSync(path))
  sums.set(path, sum)
  return sum
}

function md5(data: Uint8Array): string {
  return createHash("md5").update(data).digest("hex")
}

/** As a disk of a machine. */
export function fileVolume(volumeId: string, sizeBytes = 64 * 1024 * 1024, backend = "file"): DiskSpec {
  const source = { kind: "volume" as const, volumeId, backend }
  return { name: volumeId, source, sizeBytes, bus: "virtio", bootIndex: null }
}

/** Boots the tiny guest's kernel, with a root disk, an ephemeral disk, swap, a config drive and one interface. */
export function tinySpec(serverId: string): VmSpec {
  if (!tinyFiles) throw new Error("makeQemuAgent comes first")
  const mib = 1024 * 1024
  const virtio = { bus: "virtio", bootIndex: null }
  return {
    serverId,
    projectId: "0".repeat(32),
    name: "vm1",
    instanceName: "instance-00000001",
    vcpus: 1,
    ramMib: 192,
    disks: [
      {
        name: "root",
        source: { kind: "image", imageId: "root", checksum: md5(rootImage), diskFormat: "raw" },
        sizeBytes: 16 * mib,
        bus: "virtio",
        bootIndex: 0,
      },
      {
        name: "ephemeral0",
        source: { kind: "blank", fsLabel: "ephemeral0" },
        sizeBytes: 32 * mib,
        ...virtio,
      },
      { name: "swap", source: { kind: "blank", fsLabel: "swap" }, sizeBytes: 16 * mib, ...virtio },
    ],
    vifs: [{ portId: serverId, macAddress: "fa:16:3e:00:00:01", mtu: 1442, networkId: serverId }],
    kernelImage: { imageId: "kernel", checksum: md5Of(tinyFiles.kernel) },
    ramdiskImage: { imageId: "ramdisk", checksum: md5Of(tinyFiles.ramdisk) },
    kernelCommandLine: tinyFiles.commandLine,
    configDrive: { "openstack/latest/meta_data.json": Buffer.from('{"name":"vm1"}').toString("base64") },
    properties: {},
  }
}
