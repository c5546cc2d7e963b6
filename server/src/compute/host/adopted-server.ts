// The row that a machine's own record asks for. Pure.
import type { DiskSpec, VmSpec } from "../../agent/protocol.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { imageFacts } from "../server/image.ts"
import type { InjectedFile } from "../server/injected-file.ts"
import { type FlavorSnapshot, hostnameOf, type Server } from "../server/server.ts"
import type { NewServer } from "../server/store.ts"
import { vmSpecOf } from "../server/vm-spec.ts"

const gib = 1024 ** 3
const mib = 1024 ** 2

export function newServerOf(spec: VmSpec, owner: { projectId: string; userId: string }): NewServer {
  const told = readConfigDrive(spec)
  const root = spec.disks.find((disk) => disk.name === "root")
  return {
    ...owner,
    id: spec.serverId,
    name: spec.name,
    description: null,
    hostname: told.hostname ?? hostnameOf(spec.name, spec.serverId),
    vmState: "stopped",
    taskState: null,
    pinnedAvailabilityZone: null,
    imageId: root?.source.kind === "image" ? root.source.imageId : null,
    flavor: flavorOf(spec),
    metadata: told.metadata,
    systemMetadata: root ? imageFactsOf(root, spec) : {},
    tags: [],
    keyName: told.key?.name ?? null,
    keyType: told.key?.type ?? null,
    publicKey: told.key?.data ?? null,
    userData: told.userData,
    hasConfigDrive: spec.configDrive !== null,
    hasAutoDiskConfig: true,
    rootDeviceName: "/dev/vda",
    kernelId: null,
    ramdiskId: null,
    accessIpV4: null,
    accessIpV6: null,
    securityGroups: [],
    requestedNetworks: null,
    schedulerHints: {},
    serverGroupId: null,
    trustedImageCertificates: null,
    hasVolumes: volumeDisksOf(spec).length > 0,
    blockDevices: [],
    reservationId: `r-${newHexId().slice(0, 8)}`,
    launchIndex: 0,
  }
}

/** A size of its own: which flavor it was, its record does not say. */
function flavorOf(spec: VmSpec): FlavorSnapshot {
  const sizeOf = (name: string) => spec.disks.find((disk) => disk.name === name)?.sizeBytes ?? 0
  const root = sizeOf("root")
  return {
    id: "0",
    flavorId: `adopted-${spec.vcpus}-${spec.ramMib}`,
    name: `adopted-${spec.vcpus}-${spec.ramMib}`,
    vcpus: spec.vcpus,
    ramMib: spec.ramMib,
    // Without a size of the flavor's own the disk has that of the image (`imageFactsOf`).
    diskGib: root % gib === 0 ? root / gib : 0,
    ephemeralGib: sizeOf("ephemeral0") / gib,
    swapMib: sizeOf("swap") / mib,
    rxtxFactor: 1,
    isPublic: false,
    extraSpecs: {},
  }
}

function imageFactsOf(root: DiskSpec, spec: VmSpec): Record<string, string> {
  if (root.source.kind !== "image") return {}
  const { imageId: id, checksum, diskFormat } = root.source
  return imageFacts({
    ...{ id, name: "", checksum, diskFormat, containerFormat: "bare" },
    ...{ sizeBytes: root.sizeBytes, virtualSizeBytes: root.sizeBytes, minDiskGib: 0, minRamMib: 0 },
    properties: spec.properties,
  })
}

export interface VolumeDisk {
  volumeId: string
  bootIndex: number | null
}

/** They are no part of the machine, and compared with no image. */
export function volumeDisksOf({ disks }: VmSpec): VolumeDisk[] {
  return disks.flatMap(({ source, bootIndex }) =>
    source.kind === "volume" ? [{ volumeId: source.volumeId, bootIndex }] : [],
  )
}

/** Name of the first disk that the server's next start would make otherwise than the machine has it. */
export function differingDisk(server: NewServer | Server, spec: VmSpec): string | null {
  // The rest of a server is not looked at for its disks.
  const wanted = vmSpecOf({ number: 0, ...server } as Server, [], [], null).disks
  const has = spec.disks.filter(({ name, source }) => name !== "rescue" && source.kind !== "volume")
  for (const disk of has) {
    const want = wanted.find(({ name }) => name === disk.name)
    if (!want || !isSameDisk(want, disk)) return disk.name
  }
  return wanted.find(({ name }) => !has.some((disk) => disk.name === name))?.name ?? null
}

function isSameDisk(a: DiskSpec, b: DiskSpec): boolean {
  if (a.sizeBytes !== b.sizeBytes || a.source.kind !== b.source.kind) return false
  if (a.source.kind !== "image" || b.source.kind !== "image") return true
  return a.source.imageId === b.source.imageId && a.source.checksum === b.source.checksum
}

interface Told {
  hostname: string | null
  metadata: Record<string, string>
  key: { name: string; type: string; data: string } | null
  userData: string | null
}

/** What the config drive tells the guest, base64 by path; as this program wrote it (metadata/tree.ts). */
function readConfigDrive({ configDrive }: VmSpec): Told {
  const found = readMetaData(configDrive)
  return {
    hostname: found.hostname?.split(".")[0] ?? null,
    metadata: found.meta ?? {},
    key: found.keys?.[0] ?? null,
    userData: configDrive?.["openstack/latest/user_data"] ?? null,
  }
}

export function injectedFilesOf({ configDrive }: VmSpec): InjectedFile[] {
  return (readMetaData(configDrive).files ?? []).flatMap(({ path, content_path: contentPath }) => {
    const contents = configDrive?.[`openstack${contentPath}`]
    return contents === undefined ? [] : [{ path, contents }]
  })
}

interface MetaData {
  hostname?: string
  meta?: Record<string, string>
  keys?: { name: string; type: string; data: string }[]
  files?: { path: string; content_path: string }[]
}

function readMetaData(configDrive: VmSpec["configDrive"]): MetaData {
  const text = configDrive?.["openstack/latest/meta_data.json"]
  return text === undefined ? {} : (JSON.parse(Buffer.from(text, "base64").toString()) as MetaData)
}
