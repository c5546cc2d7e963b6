// What the compute service and a host agent say to each other, over the bus. The agent has no database: it is
// told everything and reports back. Every command carries (resource, epoch, generation, fence); the agent keeps the
// highest seen of each resource, also after a delete, and refuses the stale (ADR 9, ADR 18).

/** Which life of the cloud's database: another one begins when a backup is restored. */
export interface Epoch {
  number: number
  /** Random: two databases that happen to have the same number are told apart. */
  id: string
}

export interface Fence {
  /** Number of the cloud's epoch; above generations, which go back when a backup is restored. Left out: 0. */
  epoch?: number
  /** Generation of the row that wants this; rises with every change of the server. */
  generation: number
  /** Fence of the saga run that sends it; rises with every new owner of the saga. */
  fence: number
}

export interface VifSpec {
  portId: string
  macAddress: string
  mtu: number
  networkId: string
}

export interface DiskSpec {
  /** `root`, `ephemeral0`, `swap`, or a volume's id. */
  name: string
  source:
    | {
        kind: "image"
        imageId: string /** md5 or sha512 of the image data; names the cache entry. */
        checksum: string
        diskFormat: string
      }
    | { kind: "blank"; fsLabel: string | null }
  sizeBytes: number
  /** virtio | scsi | ide */
  bus: string
  bootIndex: number | null
}

export type PowerState = "running" | "paused" | "suspended" | "shutdown" | "crashed" | "absent"

/** The screen (RFB), or the first serial line. */
export type ConsoleKind = "vnc" | "serial"

/** Everything a hypervisor needs to make one machine; plain data, kept by the agent beside its handle. */
export interface VmSpec {
  serverId: string
  projectId: string
  name: string
  /** e.g. `instance-0000002a`, as Nova's OS-EXT-SRV-ATTR:instance_name. */
  instanceName: string
  vcpus: number
  ramMib: number
  disks: DiskSpec[]
  vifs: VifSpec[]
  /** For AMI-style images; null boots from the root disk. */
  kernelImage: { imageId: string; checksum: string } | null
  ramdiskImage: { imageId: string; checksum: string } | null
  kernelCommandLine: string | null
  /** Files of the config drive by path ("openstack/latest/meta_data.json"), base64; null for no config drive. */
  configDrive: Record<string, string> | null
  /** Image properties and flavor extra specs that the hypervisor understands (hw_machine_type, hw_firmware_type …). */
  properties: Record<string, string>
}

export interface VmState {
  power: PowerState
  /** Seconds of CPU time, bytes of memory and so on come with `diagnostics`. */
  since: string
  /** Why a machine is crashed or absent, for its fault. */
  reason?: string
  /** Why it stays off although it is to run: with its host it could not be started again, however often it was tried. */
  cannotStart?: string
}

export interface EnsuredState extends VmState {
  /** Its interfaces are in this host's switch, and the network's engine tells when they are up. */
  isPlugged?: boolean
}

/**
 * By the image's id: what the image store must be shown before it gives out data or takes some. Only the control plane
 * can make one and read it; each is for one host, one image and a short time, so the agent passes it on and keeps none.
 */
export type ImageTickets = Readonly<Record<string, string>>

/** A network whose guests of one host are answered at 169.254.169.254 and fe80::a9fe:a9fe. */
export interface MetadataNetwork {
  networkId: string
  /** The network's metadata port. */
  portId: string
  macAddress: string
  /** The port's addresses, to which DHCP sends the guests' route for 169.254.169.254. */
  serviceIps: readonly string[]
}

export interface MetadataReport {
  /** Networks that were new or not as they should be. */
  changed: number
  removed: number
}

export interface AgentCommands {
  /** Image data are obtained with the tickets, unless they are on the host already. */
  "vm.ensure": {
    args: {
      spec: VmSpec
      power: "running" | "shutdown" | "paused"
      fence: Fence
      tickets?: ImageTickets
    }
    result: EnsuredState
  }
  "vm.stop": { args: { serverId: string; graceMs: number; fence: Fence }; result: VmState }
  "vm.reboot": {
    args: { spec: VmSpec; hard: boolean; graceMs: number; fence: Fence; tickets?: ImageTickets }
    result: VmState
  }
  "vm.pause": { args: { serverId: string; fence: Fence }; result: VmState }
  "vm.unpause": { args: { serverId: string; fence: Fence }; result: VmState }
  /** Keeps the guest's memory on disk and ends the machine. `vm.ensure` with "running" lets it go on where it was. */
  "vm.suspend": { args: { serverId: string; fence: Fence }; result: VmState }
  /** Succeeds when already gone; removes disks, taps and logs, and leaves a tombstone for the fence. */
  "vm.destroy": { args: { serverId: string; fence: Fence }; result: VmState }
  "vm.inspect": { args: { serverId: string }; result: VmState }
  "vm.plug": { args: { serverId: string; vif: VifSpec; fence: Fence }; result: VmState }
  "vm.unplug": { args: { serverId: string; portId: string; fence: Fence }; result: VmState }
  /** The last `lines` lines (null: all that is kept) of the serial console. */
  "vm.console_log": { args: { serverId: string; lines: number | null }; result: { output: string } }
  /** Connects the machine's screen or serial line to a stream that the agent opens, under this id (`StreamDialer`). */
  "vm.console": {
    args: { serverId: string; kind: ConsoleKind; streamId: string }
    result: Record<string, never>
  }
  "vm.diagnostics": { args: { serverId: string }; result: VmDiagnostics }
  /** Copies the root disk (qcow2) on the host, for this image; the machine may run. Repeated, it is copied anew. */
  "vm.snapshot": { args: { serverId: string; imageId: string; fence: Fence }; result: { sizeBytes: number } }
  /** Makes the copy the image's data. It stays on the host until it is discarded, so this may be repeated. */
  "vm.upload_snapshot": {
    args: { serverId: string; imageId: string; ticket: string; fence: Fence }
    result: Record<string, never>
  }
  /** Removes the copy, whatever became of the machine; ends an upload. Succeeds when already gone. */
  "vm.discard_snapshot": {
    args: { serverId: string; imageId: string; fence: Fence }
    result: Record<string, never>
  }
  /** One line, as uptime(1) prints it. */
  "host.uptime": { args: Record<string, never>; result: { text: string } }
  /** The epoch in which this host's machines agree with the cloud; `enter` makes it this one. Null: none yet. */
  "host.epoch": { args: { enter: Epoch | null }; result: { epoch: Epoch | null } }
  /** Machines of these ids as they lie here, and every machine that was set aside. */
  "host.unknown": { args: { serverIds: string[] }; result: { here: LocalMachine[]; aside: AsideMachine[] } }
  /** Deletes for good what was set aside. Succeeds when already gone. */
  "host.discard": { args: { entry: string }; result: Record<string, never> }
  /** Switches the machine off and keeps its files out of the way. Without a fence: of a machine that no row knows. */
  "vm.set_aside": { args: { serverId: string; why: string; fence: Fence | null }; result: { entry: string } }
  /** Puts it back, switched off. */
  "vm.take_back": { args: { entry: string }; result: LocalMachine }
  /** These networks' guests here are answered, and no others', until another list comes. */
  "host.serve_metadata": { args: { networks: readonly MetadataNetwork[] }; result: MetadataReport }
  "host.describe": { args: Record<string, never>; result: HostDescription }
  /** Every machine the agent knows of, for the reconciler. */
  "vm.list": { args: Record<string, never>; result: { serverId: string; state: VmState }[] }
}

/** What a host itself knows of a machine. */
export interface LocalMachine {
  serverId: string
  power: PowerState
  /** Null when the machine left no record: the remains of a crash. */
  spec: VmSpec | null
  /** What it takes on the disk. */
  sizeBytes: number
  /** Highest generation that the host has seen of it. */
  generation: number
}

export interface AsideMachine extends LocalMachine {
  /** Its name here: several machines of one server may have been set aside. */
  entry: string
  /** When, and why. */
  at: string
  why: string
}

export interface VmDiagnostics {
  state: PowerState
  driver: string
  hypervisor: string
  hypervisorOs: string
  uptimeSeconds: number
  configDrive: boolean
  cpus: { id: number; timeNs: number }[]
  disks: {
    name: string
    readBytes: number
    readRequests: number
    writeBytes: number
    writeRequests: number
    errors: number
  }[]
  nics: { macAddress: string; rxBytes: number; rxPackets: number; txBytes: number; txPackets: number }[]
  memoryUsedMib: number
  memoryMaximumMib: number
}

export interface HostDescription {
  host: string
  hypervisorType: "QEMU" | "fake"
  hypervisorVersion: number
  hostIp: string
  vcpus: number
  ramMib: number
  diskGib: number
  cpuInfo: {
    vendor: string
    model: string
    arch: string
    topology: { cores: number; threads: number; sockets: number }
    features: string[]
  }
  abilities: {
    liveMigration: boolean
    pause: boolean
    suspend: boolean
    hotplugVif: boolean
    snapshot: boolean
    accelerator: "kvm" | "tcg" | "none"
    /** Whether it answers guests at 169.254.169.254 (`host.serve_metadata`). */
    metadata: boolean
  }
}

/** What an agent publishes on its own: topic `agent.report`. */
export type AgentReport =
  | {
      kind: "alive"
      host: string
      at: string
      description: HostDescription
      /** Of a joined host: what is wrong with its part of the network. Left out: it is simulated, or the cloud's own. */
      network?: { problem: string | null }
    }
  | { kind: "vm"; host: string; serverId: string; state: VmState; at: string }

/** Bus topic on which the agent of a host serves its commands. */
export function agentTopic(host: string): string {
  return `agent.${host}`
}

/** Topic of agent reports; compute consumes them. */
export const agentReportTopic = "agent.report"
