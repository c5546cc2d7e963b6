// A server as the domain knows it, and the pure facts about one.
import { createHash } from "node:crypto"
import type { PowerState } from "../../agent/protocol.ts"
import type { PlannedServerPorts } from "../../network/index.ts"

export type VmState =
  | "building"
  | "active"
  | "paused"
  | "suspended"
  | "stopped"
  | "rescued"
  | "resized"
  | "soft-delete"
  | "deleted"
  | "error"
  | "shelved"
  | "shelved_offloaded"

export type TaskState =
  | "scheduling"
  | "networking"
  | "spawning"
  | "deleting"
  | "powering-on"
  | "powering-off"
  | "rebooting"
  | "rebooting_hard"
  | "pausing"
  | "unpausing"
  | "suspending"
  | "resuming"
  | "rebuilding"
  | "rebuild_spawning"
  | "resize_prep"
  | "resize_migrating"
  | "resize_finish"
  | "resize_reverting"
  | "image_snapshot_pending"
  | "image_snapshot"
  | "image_uploading"
  | "image_backup"
  | "shelving"
  | "shelving_offloading"
  | "unshelving"
  | "rescuing"
  | "unrescuing"

/** Nova's numbers. */
export const powerStates = {
  pending: 0,
  running: 1,
  paused: 3,
  shutdown: 4,
  crashed: 6,
  suspended: 7,
} as const

/** Nova's number for what the hypervisor says. */
export function powerNumberOf(power: PowerState): number {
  return power === "absent" ? powerStates.pending : powerStates[power]
}

export interface FlavorSnapshot {
  id: string
  flavorId: string
  name: string
  vcpus: number
  ramMib: number
  diskGib: number
  ephemeralGib: number
  swapMib: number
  rxtxFactor: number
  isPublic: boolean
  extraSpecs: Record<string, string>
}

export interface ServerFault {
  code: number
  message: string
  details: string | null
  createdAt: string
}

export interface BlockDevice {
  bootIndex: number | null
  sourceType: "image" | "blank"
  destinationType: "local"
  sizeGib: number | null
  deviceName: string | null
  deleteOnTermination: boolean
  guestFormat: string | null
  volumeId: string | null
}

export interface Server {
  id: string
  number: number
  projectId: string
  userId: string
  generation: number
  name: string
  description: string | null
  hostname: string
  vmState: VmState
  taskState: TaskState | null
  powerState: number
  progress: number
  fault: ServerFault | null
  host: string | null
  availabilityZone: string | null
  pinnedAvailabilityZone: string | null
  imageId: string | null
  flavor: FlavorSnapshot
  oldFlavor: FlavorSnapshot | null
  oldHost: string | null
  metadata: Record<string, string>
  systemMetadata: Record<string, string>
  tags: string[]
  keyName: string | null
  keyType: string | null
  publicKey: string | null
  userData: string | null
  hasConfigDrive: boolean
  hasAutoDiskConfig: boolean
  rootDeviceName: string | null
  kernelId: string | null
  ramdiskId: string | null
  accessIpV4: string | null
  accessIpV6: string | null
  securityGroups: string[]
  /** As its request was understood. */
  requestedNetworks: PlannedServerPorts | null
  schedulerHints: Record<string, unknown>
  serverGroupId: string | null
  trustedImageCertificates: string[] | null
  blockDevices: BlockDevice[]
  reservationId: string
  launchIndex: number
  lockedBy: "owner" | "admin" | null
  lockedReason: string | null
  createdAt: Date
  updatedAt: Date
  launchedAt: Date | null
  terminatedAt: Date | null
  deletedAt: Date | null
}

export const maxTagsOfServer = 50

export function instanceNameOf(server: Pick<Server, "number">): string {
  return `instance-${server.number.toString(16).padStart(8, "0")}`
}

/** What a project sees of its host: the same for two of its servers there, and of no use to find the host. */
export function hostIdOf(projectId: string, host: string | null): string {
  if (!host) return ""
  const key = `${projectId}/${host}`
  let id = hostIds.get(key)
  if (id === undefined) {
    id = createHash("sha224").update(projectId).update(host).digest("hex")
    if (hostIds.size >= hostIdsMost) hostIds.clear()
    hostIds.set(key, id)
  }
  return id
}
const hostIds = new Map<string, string>()
/** Lists ask for the same few pairs again and again. */
const hostIdsMost = 10_000

/** The host name that a guest gets: RFC 1123 letters of the display name, or `Server-<id>` when none is left. */
export function hostnameOf(name: string, serverId: string): string {
  const word = name
    .normalize("NFKD")
    .replaceAll(/[^\x20-\x7e]/g, "")
    .replaceAll(/[ _.]/g, "-")
    .replaceAll(/[^\w.-]+/g, "")
    .toLowerCase()
    .replace(/^[.-]+/, "")
    .slice(0, 63)
    .replace(/[.-]+$/, "")
  return word === "" ? `Server-${serverId}` : word
}
