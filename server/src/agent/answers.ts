// What the agent of a host answers and reports, as schemas: a host is another machine, and whoever has taken it over
// says what he likes. The types of the protocol follow from these; the cloud checks by them what it hears
// (engine/agent-call.ts, host/door/host-bus.ts). Each length and number has a bound.
import { type Static, type TSchema, Type } from "typebox"
import { mapOf, nullable, word } from "../platform/schema/make.ts"

const text = (maxLength: number) => Type.String({ maxLength })
const Name = text(255)
/** Also what a program said that failed. */
const Words = text(10_000)
const Time = text(40)
const Uuid = Type.String({ format: "uuid" })
/** What is added up over hosts, and kept in whole numbers of four bytes. */
const Count = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })
/** Bytes, nanoseconds, generations. */
const Amount = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const list = <T extends TSchema>(of: T, maxItems: number) => Type.Array(of, { maxItems })
const Nothing = Type.Object({})
const IscsiName = Type.String({ pattern: "^(iqn|eui|naa)\\.[A-Za-z0-9.:-]{1,218}$" })

const machinesMost = 65_536
const devicesMost = 256
const mappingsMost = 256
const poolsMost = 64
const volumesMost = 65_536
export const cachedImagesMost = 4_096
/** A console's log is cut to less by whoever reads it. */
const consoleCharactersMost = 16 * 1024 * 1024

const Power = word(["running", "paused", "suspended", "shutdown", "crashed", "absent"])

const VmState = Type.Object({
  power: Power,
  /** Seconds of CPU time, bytes of memory and so on come with `diagnostics`. */
  since: Time,
  /** Why a machine is crashed or absent, for its fault. */
  reason: Type.Optional(Words),
  /** Why it stays off although it is to run: with its host it could not be started again, however often it was tried. */
  cannotStart: Type.Optional(Words),
})

const EnsuredState = Type.Object({
  ...VmState.properties,
  /** Its interfaces are in this host's switch, and the network's engine tells when they are up. */
  isPlugged: Type.Optional(Type.Boolean()),
})

const VifSpec = Type.Object({ portId: Name, macAddress: text(17), mtu: Count, networkId: Name })

/** Of a second; bursts and their lengths in seconds. What is left out is not limited. */
const IoLimits = Type.Partial(
  Type.Object({
    total_bytes_sec: Amount,
    read_bytes_sec: Amount,
    write_bytes_sec: Amount,
    total_bytes_sec_max: Amount,
    read_bytes_sec_max: Amount,
    write_bytes_sec_max: Amount,
    total_bytes_sec_max_length: Amount,
    read_bytes_sec_max_length: Amount,
    write_bytes_sec_max_length: Amount,
    total_iops_sec: Amount,
    read_iops_sec: Amount,
    write_iops_sec: Amount,
    total_iops_sec_max: Amount,
    read_iops_sec_max: Amount,
    write_iops_sec_max: Amount,
    total_iops_sec_max_length: Amount,
    read_iops_sec_max_length: Amount,
    write_iops_sec_max_length: Amount,
    /** A request of more bytes counts as several. */
    size_iops_sec: Amount,
  }),
)

const DiskSpec = Type.Object({
  /** `root`, `ephemeral0`, `swap`, or a volume's id. */
  name: Name,
  source: Type.Union([
    Type.Object({
      kind: Type.Literal("image"),
      imageId: Name,
      /** md5 or sha512 of the image data; names the cache entry. */
      checksum: Name,
      diskFormat: Name,
    }),
    Type.Object({ kind: Type.Literal("blank"), fsLabel: nullable(Name) }),
    /** Its disk is called as the volume is. It is there before the machine, and after it. */
    Type.Object({
      kind: Type.Literal("volume"),
      volumeId: Uuid,
      backend: Name,
      /** Other machines that say so, too, have it at the same time. */
      shared: Type.Optional(Type.Boolean()),
      /** Its data are LUKS, which the hypervisor opens with the cloud's key. */
      encrypted: Type.Optional(Type.Boolean()),
      /** Where it lies, which need not be the machine's host. */
      host: Type.Optional(Name),
    }),
  ]),
  sizeBytes: Amount,
  /** virtio | scsi | ide | sata | usb */
  bus: Name,
  /** An image that the guest is shown as a CD, or not as one; left out: by its format. */
  isCdrom: Type.Optional(Type.Boolean()),
  bootIndex: nullable(Type.Integer()),
  /** Of a volume: what its guest is held to. */
  ioLimits: Type.Optional(IoLimits),
})

const BootImage = Type.Object({ imageId: Name, checksum: Name })

const CpuLimits = Type.Object({
  /** As cgroups of the first version have them: 1024 is usual. */
  shares: Type.Optional(Count),
  /** Of each of the guest's processors; both or none. */
  periodUs: Type.Optional(Count),
  quotaUs: Type.Optional(Amount),
})

/** Beyond processors, memory and disks. What is left out is as usual. */
const GuestHardware = Type.Object({
  /** Cells of memory and processors (NUMA nodes): all of them are in one. */
  cells: Type.Optional(list(Type.Object({ cpus: list(Count, 4_096), memoryMib: Count }), 128)),
  /** KiB, or any that are larger than the usual ones; `any`: those, if there are. */
  pageSize: Type.Optional(Type.Union([Count, word(["large", "any"])])),
  /** Processors of the guest that have one of the host's for themselves. */
  pinnedCpus: Type.Optional(list(Count, 4_096)),
  /** What else QEMU does gets one, too. */
  isolatesEmulator: Type.Optional(Type.Boolean()),
  cpuLimits: Type.Optional(CpuLimits),
  /** A security chip of its own; what it holds is encrypted with a key that the host asks for. */
  tpm: Type.Optional(Type.Object({ version: word(["1.2", "2.0"]), model: word(["tpm-tis", "tpm-crb"]) })),
})

/** Everything a hypervisor needs to make one machine; plain data, kept by the agent beside its handle. */
const VmSpec = Type.Object({
  serverId: Uuid,
  projectId: Name,
  name: Name,
  /** e.g. `instance-0000002a`, as Nova's OS-EXT-SRV-ATTR:instance_name. */
  instanceName: Name,
  vcpus: Count,
  ramMib: Count,
  disks: list(DiskSpec, devicesMost),
  vifs: list(VifSpec, devicesMost),
  /** For AMI-style images; null boots from the root disk. */
  kernelImage: nullable(BootImage),
  ramdiskImage: nullable(BootImage),
  kernelCommandLine: nullable(Words),
  /** Files of the config drive by path ("openstack/latest/meta_data.json"), base64; null for no config drive. */
  configDrive: nullable(mapOf(text(4 * 1024 * 1024))),
  /** Image properties and flavor extra specs that the hypervisor understands (hw_machine_type, hw_firmware_type …). */
  properties: mapOf(Words),
  hardware: Type.Optional(GuestHardware),
})

/** What a host itself knows of a machine. */
const LocalMachine = Type.Object({
  serverId: Uuid,
  power: Power,
  /** Null when the machine left no record: the remains of a crash. */
  spec: nullable(VmSpec),
  /** What it takes on the disk. */
  sizeBytes: Amount,
  /** Highest generation that the host has seen of it. */
  generation: Amount,
})

const AsideMachine = Type.Object({
  ...LocalMachine.properties,
  /** Its name here: several machines of one server may have been set aside. */
  entry: Name,
  /** When, and why. */
  at: Time,
  why: Words,
})

const VmDiagnostics = Type.Object({
  state: Power,
  driver: Name,
  hypervisor: Name,
  hypervisorOs: Name,
  uptimeSeconds: Amount,
  configDrive: Type.Boolean(),
  /** `pin`: the one of the host's that it has for itself. */
  cpus: list(Type.Object({ id: Count, timeNs: Amount, pin: Type.Optional(Count) }), 4_096),
  disks: list(
    Type.Object({
      name: Name,
      readBytes: Amount,
      readRequests: Amount,
      writeBytes: Amount,
      writeRequests: Amount,
      errors: Amount,
    }),
    devicesMost,
  ),
  nics: list(
    Type.Object({
      macAddress: text(17),
      rxBytes: Amount,
      rxPackets: Amount,
      txBytes: Amount,
      txPackets: Amount,
    }),
    devicesMost,
  ),
  /** Of its memory, where that is in pages of a kind. */
  pageSizeKib: Type.Optional(Count),
  memoryUsedMib: Amount,
  memoryMaximumMib: Amount,
})

/** What a back end can do, beside what each can. */
const VolumeAbilities = Type.Object({
  /** A volume takes only what is written to it, so more may be promised than there is. */
  thinProvisioning: Type.Boolean(),
  /** A volume grows while a guest has it. */
  onlineExtend: Type.Boolean(),
  /** Other hosts that say so reach the same volumes. */
  shared: Type.Boolean(),
  /** Volumes are copied together as they are at one moment (`volume.create_together`). */
  consistentGroups: Type.Optional(Type.Boolean()),
  /** What it speaks, in Cinder's words: `file`, `nfs`, `ceph`. Left out: by an earlier program, with one back end. */
  protocol: Type.Optional(text(64)),
  /** Several machines have one volume at the same time. Left out by a host of an earlier program, which cannot. */
  multiAttach: Type.Optional(Type.Boolean()),
})

const VolumeFacts = Type.Object({
  sizeBytes: Amount,
  /** What it takes of the pool. */
  allocatedBytes: Amount,
})

/** Where volumes can be made. */
const VolumePool = Type.Object({
  backend: Name,
  totalBytes: Amount,
  freeBytes: Amount,
  abilities: VolumeAbilities,
  /** Of what hosts share: hosts that name the same reach the same volumes. Left out: nobody else reaches these. */
  share: Type.Optional(text(512)),
  /** Hosts that name the same reach each other's volumes over a network. Left out: nobody else reaches these. */
  connects: Type.Optional(text(512)),
})

/** How a host reaches a volume of another one, which is not believed in all that it says: QEMU opens what this names. */
const VolumeConnection = Type.Object({
  kind: Type.Literal("iscsi"),
  portal: Type.String({ pattern: "^\\d{1,3}(\\.\\d{1,3}){3}:\\d{1,5}$" }),
  target: IscsiName,
  lun: Type.Integer({ minimum: 0, maximum: 255 }),
  user: Type.String({ pattern: "^[A-Za-z0-9-]{1,255}$" }),
  secret: Type.String({ pattern: "^[0-9a-f]{48}$" }),
  initiator: IscsiName,
})

/** Left out: by a host of an earlier program. */
const Pools = Type.Optional(list(VolumePool, poolsMost))

const HostDescription = Type.Object({
  host: Name,
  hypervisorType: word(["QEMU", "fake"]),
  hypervisorVersion: Count,
  hostIp: Type.String({ pattern: "^[0-9a-fA-F.:]{2,45}$" }),
  vcpus: Count,
  ramMib: Count,
  diskGib: Count,
  cpuInfo: Type.Object({
    vendor: Name,
    model: Name,
    arch: Name,
    topology: Type.Object({ cores: Count, threads: Count, sockets: Count }),
    features: list(text(64), 1_000),
  }),
  // Each in its own type: the database reads them.
  abilities: Type.Object({
    liveMigration: Type.Boolean(),
    pause: Type.Boolean(),
    suspend: Type.Boolean(),
    hotplugVif: Type.Boolean(),
    snapshot: Type.Boolean(),
    accelerator: word(["kvm", "tcg", "none"]),
    /** Whether it answers guests at 169.254.169.254 (`host.serve_metadata`). */
    metadata: Type.Boolean(),
  }),
  /** Which program the host runs, and the protocol that it speaks. Left out: of before versions were told. */
  program: Type.Optional(
    Type.Object({ version: Name, protocol: Type.Object({ oldest: Count, newest: Count }) }),
  ),
  /** For guests beyond the ordinary. Left out: by an earlier program, which gives none of it. */
  guestHardware: Type.Optional(
    Type.Object({
      /** Why it cannot limit what processor time a guest gets; null: it can. */
      cpuLimitsProblem: nullable(Words),
      /** Larger than the usual ones. */
      pages: list(Type.Object({ sizeKib: Count, total: Count, free: Count }), 16),
      /** Processors for guests that have them for themselves; `vcpus` are the others. */
      dedicatedCpus: Count,
      /** Whether its firmware can start only what is signed. Left out: it cannot. */
      hasSecureBoot: Type.Optional(Type.Boolean()),
      /** Of TPMs that guests can have. Left out: none. */
      tpmVersions: Type.Optional(list(word(["1.2", "2.0"]), 2)),
    }),
  ),
})

/** An image on the host; which one it is, the sum and the format say. */
const CachedImage = Type.Object({
  checksum: text(128),
  diskFormat: text(32),
  sizeBytes: Amount,
  hits: Amount,
  cachedAt: Time,
  usedAt: Time,
})

/** Which life of the cloud's database: another one begins when a backup is restored. */
const Epoch = Type.Object({
  number: Amount,
  /** Random: two databases that happen to have the same number are told apart. */
  id: Name,
})

/** Networks that were new or not as they should be; and those that went. */
const MetadataReport = Type.Object({ changed: Count, removed: Count })

/** Where each device of a machine is, so that another host makes the same: QEMU's words, which that one is told. */
const MachineLayout = Type.Object({
  /** With its version. */
  machineType: Type.String({ pattern: "^pc-(i440fx|q35)-[\\w.-]{1,40}$" }),
  places: Type.Record(
    Type.String({ pattern: "^[\\w.-]{1,64}$" }),
    Type.Object({
      addr: Type.String({ pattern: "^[0-9a-f]{1,2}\\.[0-7]$" }),
      /** Null: it is on the root bus. */
      bridge: nullable(Type.String({ pattern: "^[\\w.-]{1,64}$" })),
    }),
    { maxProperties: devicesMost },
  ),
  /** What its process was made by, whatever is wanted of its next start. Left out by a host of an earlier program. */
  made: Type.Optional(Type.Object({ properties: mapOf(Words), hardware: Type.Optional(GuestHardware) })),
})

const Share = Type.Object({ totalBytes: Amount, processedBytes: Amount, remainingBytes: Amount })
const LiveProgress = Type.Object({ memory: Share, disk: Share })

/** The guest stood still for so long where it was; until it goes on where it is now is not in it. */
const LiveFigures = Type.Object({ downtimeMs: Amount, totalMs: Amount, memoryBytes: Amount })

/** By command; see `AgentCommands`. */
export const agentAnswers = {
  "vm.ensure": EnsuredState,
  "vm.stop": VmState,
  "vm.reboot": VmState,
  "vm.pause": VmState,
  "vm.unpause": VmState,
  "vm.suspend": VmState,
  "vm.destroy": VmState,
  "vm.inspect": VmState,
  "vm.plug": VmState,
  "vm.unplug": VmState,
  "vm.plug_volume": VmState,
  "vm.unplug_volume": VmState,
  "vm.console_log": Type.Object({ output: text(consoleCharactersMost) }),
  "vm.console": Nothing,
  "vm.diagnostics": VmDiagnostics,
  "vm.inject_nmi": Nothing,
  "vm.set_password": Nothing,
  "vm.snapshot": Type.Object({ sizeBytes: Amount }),
  "vm.upload_snapshot": Nothing,
  "vm.discard_snapshot": Nothing,
  "vm.send_disk": Nothing,
  "vm.receive_disk": Nothing,
  "vm.layout": Type.Object({ ...MachineLayout.properties, streams: list(Name, devicesMost) }),
  "vm.send_live": LiveFigures,
  "vm.receive_live": EnsuredState,
  "vm.stay": VmState,
  "vm.live_progress": Type.Object({ progress: nullable(LiveProgress) }),
  "vm.hurry_live": Nothing,
  "vm.abort_live": Nothing,
  "host.log_level": Type.Object({ level: Name }),
  "host.uptime": Type.Object({ text: text(1_000) }),
  "host.epoch": Type.Object({ epoch: nullable(Epoch) }),
  "host.unknown": Type.Object({
    here: list(LocalMachine, machinesMost),
    aside: list(AsideMachine, machinesMost),
  }),
  "host.discard": Nothing,
  "vm.set_aside": Type.Object({ entry: Name }),
  "vm.take_back": LocalMachine,
  "host.serve_metadata": MetadataReport,
  "image.cache": Nothing,
  "image.uncache": Type.Object({ end: word(["removed", "absent", "in_use"]) }),
  "image.cached": list(CachedImage, cachedImagesMost),
  "image.prune": Type.Object({ removed: Amount, removedBytes: Amount }),
  "host.describe": Type.Object({ ...HostDescription.properties, pools: Pools }),
  "vm.list": list(Type.Object({ serverId: Uuid, state: VmState }), machinesMost),
  "volume.create": VolumeFacts,
  "volume.create_together": Nothing,
  "volume.delete": Nothing,
  "volume.extend": VolumeFacts,
  "volume.revert": VolumeFacts,
  "volume.reimage": VolumeFacts,
  "volume.recode": VolumeFacts,
  "volume.upload": Nothing,
  "volume.unmanaged": list(
    Type.Object({ name: Name, sizeBytes: Amount, problem: nullable(Words) }),
    volumesMost,
  ),
  "volume.manage": VolumeFacts,
  "volume.unmanage": Nothing,
  "volume.move": VolumeFacts,
  "volume.send": Nothing,
  "volume.receive": VolumeFacts,
  "volume.backup": Nothing,
  "volume.restore": VolumeFacts,
  "volume.inspect": Type.Object({
    /** Null: it is not there. */
    volume: nullable(VolumeFacts),
    /** Whose machine on this host has it. */
    serverId: nullable(Uuid),
  }),
  "volume.connect": VolumeConnection,
  "volume.disconnect": Nothing,
  "volume.list": list(Type.Object({ volumeId: Uuid, ...VolumeFacts.properties }), volumesMost),
} as const

export type AgentAnswer<C extends keyof typeof agentAnswers> = Static<(typeof agentAnswers)[C]>

/** What an agent publishes on its own, by kind. */
export const agentReports = {
  alive: Type.Object({
    kind: Type.Literal("alive"),
    host: Name,
    at: Time,
    description: HostDescription,
    pools: Pools,
    /** Of a joined host, of its part of the network. Left out: it is simulated, or the cloud's own. */
    network: Type.Optional(
      Type.Object({
        /** What is wrong with it. */
        problem: nullable(Words),
        /** By physical network: the bridge by which the host reaches it. Left out by hosts of an earlier program. */
        bridgeMappings: Type.Optional(Type.Record(Type.String(), Name, { maxProperties: mappingsMost })),
      }),
    ),
  }),
  vm: Type.Object({ kind: Type.Literal("vm"), host: Name, serverId: Uuid, state: VmState, at: Time }),
} as const

export type AgentReport = Static<typeof agentReports.alive> | Static<typeof agentReports.vm>
export type AsideMachine = Static<typeof AsideMachine>
export type CpuLimits = Static<typeof CpuLimits>
export type DiskSpec = Static<typeof DiskSpec>
export type EnsuredState = Static<typeof EnsuredState>
export type Epoch = Static<typeof Epoch>
export type GuestHardware = Static<typeof GuestHardware>
export type HostDescription = Static<typeof HostDescription>
export type IoLimits = Static<typeof IoLimits>
export type LiveFigures = Static<typeof LiveFigures>
export type LiveProgress = Static<typeof LiveProgress>
export type LocalMachine = Static<typeof LocalMachine>
export type MachineLayout = Static<typeof MachineLayout>
export type MetadataReport = Static<typeof MetadataReport>
export type PowerState = Static<typeof Power>
export type VifSpec = Static<typeof VifSpec>
export type VmDiagnostics = Static<typeof VmDiagnostics>
export type VmSpec = Static<typeof VmSpec>
export type VmState = Static<typeof VmState>
export type VolumeAbilities = Static<typeof VolumeAbilities>
export type VolumeFacts = Static<typeof VolumeFacts>
export type VolumeConnection = Static<typeof VolumeConnection>
export type VolumePool = Static<typeof VolumePool>
