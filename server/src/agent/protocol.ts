// What the compute service and a host agent say to each other, over the bus. The agent has no database: it is
// told everything and reports back. Every command carries (resource, epoch, generation, fence); the agent keeps the
// highest seen of each resource, also after a delete, and refuses the stale (ADR 9, ADR 18).

import type { AgentAnswer, DiskSpec, Epoch, MachineLayout, VifSpec, VmSpec } from "./answers.ts"

export {
  type AgentReport,
  type AsideMachine,
  agentAnswers,
  agentReports,
  type CpuLimits,
  cachedImagesMost,
  type DiskSpec,
  type EnsuredState,
  type Epoch,
  type GuestHardware,
  type HostDescription,
  type IoLimits,
  type LiveFigures,
  type LiveProgress,
  type LocalMachine,
  type MachineLayout,
  type MetadataReport,
  type PowerState,
  type VifSpec,
  type VmDiagnostics,
  type VmSpec,
  type VmState,
  type VolumeAbilities,
  type VolumeConnection,
  type VolumeFacts,
  type VolumePool,
} from "./answers.ts"

export { agentCommandTooNew, checkCommandVersion, commandsSince } from "./protocol-versions.ts"

export interface Fence {
  /** Number of the cloud's epoch; above generations, which go back when a backup is restored. Left out: 0. */
  epoch?: number
  /** Generation of the row that wants this; rises with every change of the server. */
  generation: number
  /** Fence of the saga run that sends it; rises with every new owner of the saga. */
  fence: number
}

/** The screen (RFB), or the first serial line. */
export type ConsoleKind = "vnc" | "serial"

/**
 * By the image's id: what the image store must be shown before it gives out data or takes some. Only the control plane
 * can make one and read it; each is for one host, one image and a short time, so the agent passes it on and keeps none.
 */
export type ImageTickets = Readonly<Record<string, string>>

/** What a volume is made from; the data are copied, and the two know nothing of each other afterwards. */
export type VolumeSource =
  | { kind: "image"; imageId: string; checksum: string; diskFormat: string }
  /** Of the same back end, as it is at one moment; a guest that has it goes on. Its copy may be larger, never smaller. */
  | { kind: "volume"; volumeId: string }
  /** Data in the store of backups, with the ticket among the command's. */
  | { kind: "backup"; dataId: string }

/** A network whose guests of one host are answered at 169.254.169.254 and fe80::a9fe:a9fe. */
export interface MetadataNetwork {
  networkId: string
  /** The network's metadata port. */
  portId: string
  macAddress: string
  /** The port's addresses, to which DHCP sends the guests' route for 169.254.169.254. */
  serviceIps: readonly string[]
}

/** By what they carry. */
export type StreamIds = Readonly<Record<string, string>>

export interface LiveHow {
  /** How long a guest may stand still at the end, as far as that can be foreseen. */
  downtimeMs: number
  /** Left out: as fast as it goes. */
  mostBytesPerSecond?: number
  /** For the memory to get there. */
  timeoutMs: number
}

/** What is said with each command. */
interface AgentArgs {
  /** Image data are obtained with the tickets, unless they are on the host already. */
  "vm.ensure": {
    spec: VmSpec
    power: "running" | "shutdown" | "paused"
    fence: Fence
    tickets?: ImageTickets
  }
  "vm.stop": { serverId: string; graceMs: number; fence: Fence }
  "vm.reboot": { spec: VmSpec; hard: boolean; graceMs: number; fence: Fence; tickets?: ImageTickets }
  "vm.pause": { serverId: string; fence: Fence }
  "vm.unpause": { serverId: string; fence: Fence }
  /** Keeps the guest's memory on disk and ends the machine. `vm.ensure` with "running" lets it go on where it was. */
  "vm.suspend": { serverId: string; fence: Fence }
  /** Succeeds when already gone; removes disks, taps and logs, and leaves a tombstone for the fence. */
  "vm.destroy": { serverId: string; fence: Fence }
  "vm.inspect": { serverId: string }
  "vm.plug": { serverId: string; vif: VifSpec; fence: Fence }
  "vm.unplug": { serverId: string; portId: string; fence: Fence }
  /** Of a machine that runs or does not; it has the disk at each start from now on. The disk's source is a volume. */
  "vm.plug_volume": { serverId: string; disk: DiskSpec; fence: Fence }
  /** A guest that does not let go in time keeps it, and that is told. Succeeds when the machine has it no more. */
  "vm.unplug_volume": { serverId: string; volumeId: string; fence: Fence }
  /** The last `lines` lines (null: all that is kept) of the serial console. */
  "vm.console_log": { serverId: string; lines: number | null }
  /** Connects the machine's screen or serial line to a stream that the agent opens, under this id (`StreamDialer`). */
  "vm.console": { serverId: string; kind: ConsoleKind; streamId: string }
  "vm.diagnostics": { serverId: string }
  /** An interrupt that the guest cannot mask, on all its processors. */
  "vm.inject_nmi": { serverId: string; fence: Fence }
  /** Of the guest's administrator, by the agent that runs in the guest. Kept nowhere. */
  "vm.set_password": { serverId: string; password: string }
  /** Copies the root disk (qcow2) on the host, for this image; the machine may run. Repeated, it is copied anew. */
  "vm.snapshot": { serverId: string; imageId: string; fence: Fence }
  /** Makes the copy the image's data. It stays on the host until it is discarded, so this may be repeated. */
  "vm.upload_snapshot": { serverId: string; imageId: string; ticket: string; fence: Fence }
  /** Removes the copy, whatever became of the machine; ends an upload. Succeeds when already gone. */
  "vm.discard_snapshot": { serverId: string; imageId: string; fence: Fence }
  /** Of a machine that is off. The disk goes, as it is, over a stream that the agent opens under this id; it stays, too. */
  "vm.send_disk": { serverId: string; disk: DiskSpec["name"]; streamId: string; fence: Fence }
  /** The disk of a machine that is off becomes what comes over such a stream. Repeatable. */
  "vm.receive_disk": { serverId: string; disk: DiskSpec["name"]; streamId: string; fence: Fence }
  /** How the devices of a machine that runs are laid out, and the names of the streams by which it would leave. */
  "vm.layout": { serverId: string }
  /**
   * Of a machine that runs or is paused: its guest goes, as it is, over streams that the agent opens under these ids,
   * by name. It is halted when this returns, and stays so until `vm.stay` or `vm.destroy`.
   */
  "vm.send_live": LiveHow & { serverId: string; streamIds: StreamIds; fence: Fence }
  /**
   * The machine is what comes over such streams, on its own disks; halted when this returns. Whatever lies here of it
   * is made anew. Its volumes are opened beside whoever has them, and left alone until it goes on.
   */
  "vm.receive_live": {
    spec: VmSpec
    layout: MachineLayout
    streamIds: StreamIds
    fence: Fence
    tickets?: ImageTickets
  }
  /** Its guest goes nowhere, and is in this power when this returns. Repeatable. */
  "vm.stay": { serverId: string; power: "running" | "paused"; fence: Fence }
  /** Of a guest that is leaving. */
  "vm.live_progress": { serverId: string }
  /** Halts a guest that is leaving, so that what is left of it can be sent. */
  "vm.hurry_live": { serverId: string; fence: Fence }
  /** Ends the `vm.send_live` of this machine; the guest goes on here. */
  "vm.abort_live": { serverId: string; fence: Fence }
  /** One line, as uptime(1) prints it. */
  "host.uptime": Record<string, never>
  /** How much the host's process logs: debug, info, warn, error. Null: it only says. */
  "host.log_level": { level: string | null }
  /** The epoch in which this host's machines agree with the cloud; `enter` makes it this one. Null: none yet. */
  "host.epoch": { enter: Epoch | null }
  /** Machines of these ids as they lie here, and every machine that was set aside. */
  "host.unknown": { serverIds: string[] }
  /** Deletes for good what was set aside. Succeeds when already gone. */
  "host.discard": { entry: string }
  /** Switches the machine off and keeps its files out of the way. Without a fence: of a machine that no row knows. */
  "vm.set_aside": { serverId: string; why: string; fence: Fence | null }
  /** Puts it back, switched off. */
  "vm.take_back": { entry: string }
  /** These networks' guests here are answered, and no others', until another list comes. */
  "host.serve_metadata": { networks: readonly MetadataNetwork[] }
  /** The image's data are in the cache when this returns. On a host that never reads data, nothing happens. */
  "image.cache": { imageId: string; checksum: string; diskFormat: string; ticket: string; fence: Fence }
  /** The data go from the cache, whichever images have them, unless something of this host stands on them. */
  "image.uncache": { imageId: string; checksum: string; diskFormat: string; fence: Fence }
  "image.cached": Record<string, never>
  /**
   * These data go from the cache, and then the longest unused, until it is within its limit; nothing that something of
   * this host stands on. Whoever wants data that went fetches them again, so no fence is needed.
   */
  "image.prune": { data: readonly { checksum: string; diskFormat: string }[] }
  "host.describe": Record<string, never>
  /** Every machine the agent knows of, for the reconciler. */
  "vm.list": Record<string, never>
  /**
   * Blank without a source. Repeatable: what is there whole stays as it is, and one of another size is a fault. Data
   * of an image or a backup are obtained with its ticket, by its id. `encrypted`: what is made blank or of an image is
   * put into LUKS with the volume's key; data of a volume or a backup stay as they are.
   */
  "volume.create": {
    volumeId: string
    backend: string
    sizeBytes: number
    source?: VolumeSource
    encrypted?: boolean
    tickets?: ImageTickets
    fence: Fence
  }
  /**
   * Copies of other volumes of the back end as they are at one moment, the same for all. Volumes of several machines
   * that run are refused. Repeatable: when one is missing, all are made anew.
   */
  "volume.create_together": {
    backend: string
    volumes: readonly { volumeId: string; fromVolumeId: string; sizeBytes: number; fence: Fence }[]
  }
  /** Succeeds when already gone, and leaves a tombstone for the fence. Not while a machine of this host has it. */
  "volume.delete": { volumeId: string; backend: string; fence: Fence }
  /** Never makes it smaller. A guest that has it sees the new size at once. */
  "volume.extend": { volumeId: string; backend: string; sizeBytes: number; fence: Fence }
  /**
   * The volume's data become those of the other one, and what is beyond them zeros; its size stays. Not while a machine
   * of this host has it.
   */
  "volume.revert": { volumeId: string; backend: string; fromVolumeId: string; fence: Fence }
  /** The same with the data of an image, which are obtained with the ticket. */
  "volume.reimage": {
    volumeId: string
    backend: string
    source: Extract<VolumeSource, { kind: "image" }>
    encrypted?: boolean
    tickets?: ImageTickets
    fence: Fence
  }
  /** The data are encrypted from then on, with the volume's key, or are so no more. Not while a machine has it. */
  "volume.recode": { volumeId: string; backend: string; becomes: "plain" | "luks"; fence: Fence }
  /** The data as they are at one moment become the image's, in this format. Repeated, they are taken anew. */
  "volume.upload": {
    volumeId: string
    backend: string
    imageId: string
    diskFormat: string
    ticket: string
    fence: Fence
  }
  /** Data of the back end that are no volume: put there by operators, or left by `volume.unmanage`. */
  "volume.unmanaged": { backend: string }
  /** These data become the volume; what they are short of its size is zeros at their end. Repeatable. */
  "volume.manage": { volumeId: string; backend: string; name: string; sizeBytes: number; fence: Fence }
  /**
   * The volume's data become unmanaged, under this name, or one like it when that is taken. Succeeds when already gone,
   * and leaves a tombstone for the fence. Not while a machine of this host has it.
   */
  "volume.unmanage": { volumeId: string; backend: string; name: string; fence: Fence }
  /**
   * Its data are in `backend` when this returns, and no more in `fromBackend`; a machine of this host that has it goes on
   * with it there. Repeatable. Whatever comes in between, they are in one of the two.
   */
  "volume.move": { volumeId: string; fromBackend: string; backend: string; fence: Fence }
  /** At rest. The data go, as they are, over a stream that the agent opens under this id; they stay here, too. */
  "volume.send": { volumeId: string; backend: string; streamId: string; fence: Fence }
  /** A new volume of what comes over such a stream. What is there whole stays as it is. */
  "volume.receive": { volumeId: string; backend: string; sizeBytes: number; streamId: string; fence: Fence }
  /**
   * The data as they are at one moment go to the store of backups, in chunks of this size. Repeated, they are taken
   * anew; each time under an id of its own.
   */
  "volume.backup": {
    volumeId: string
    backend: string
    dataId: string
    chunkBytes: number
    ticket: string
    fence: Fence
  }
  /** As `volume.revert`, from the store of backups. */
  "volume.restore": { volumeId: string; backend: string; dataId: string; ticket: string; fence: Fence }
  /**
   * From then on machines of the other host reach the volume, of a back end that `connects`; those of this host have it
   * no more. Refused while another one has it open. `initiator`: of a machine outside of the cloud. The fences of
   * these two are of their own.
   */
  /** `hold`: for which reservation of somebody outside; of another one than before: that one is over. */
  "volume.connect": {
    volumeId: string
    backend: string
    host: string
    initiator?: string
    hold?: string
    fence: Fence
  }
  /** No other host reaches it any more; a machine that has it open is cut off. Succeeds when that is so already. */
  "volume.disconnect": { volumeId: string; backend: string; fence: Fence }
  "volume.inspect": { volumeId: string; backend: string }
  /** Every volume of the back end, whatever rows say. */
  "volume.list": { backend: string }
}

export type AgentCommands = {
  [C in keyof AgentArgs]: { args: AgentArgs[C]; result: AgentAnswer<C> }
}

/** Bus topic on which the agent of a host serves its commands. */
export function agentTopic(host: string): string {
  return `agent.${host}`
}

/** Topic of agent reports; compute consumes them. */
export const agentReportTopic = "agent.report"

/** Bus topic on which the cloud says which machines may start (`StartRightsAsked`); the method is the host's name. */
export const startRightsTopic = "compute.start_rights"

/** Machines of one question. */
export const startRightsMost = 1_000

export interface StartRightsAsked {
  serverIds: readonly string[]
  /** In which the host agreed with the cloud last; null: in none yet. */
  epochId: string | null
}

/** Of those that were asked for; of the others the cloud says later. */
export interface StartRights {
  start: readonly string[]
  /** Never here, unless a command says so. */
  leave: readonly string[]
}
