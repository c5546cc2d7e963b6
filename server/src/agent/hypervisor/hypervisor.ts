import type { Duplex } from "node:stream"
import type {
  ConsoleKind,
  DiskSpec,
  HostDescription,
  LiveFigures,
  LiveHow,
  LiveProgress,
  MachineLayout,
  PowerState,
  VmDiagnostics,
  VmSpec,
  VmState,
} from "../protocol.ts"
import type { VolumeKeys } from "../volumes/volume-keys.ts"

/** What a hypervisor knows of its host; the rest is the agent's. */
export type HypervisorDescription = Omit<HostDescription, "abilities"> & {
  abilities: Omit<HostDescription["abilities"], "metadata">
}

/** Serialisable: pid, start time, socket paths, run directory. Persisted before `ensure` returns. */
export interface VmHandle {
  serverId: string
  driver: string
  [fact: string]: unknown
}

export interface VmEvent {
  serverId: string
  state: VmState
}

/** A tap (or its like) on this host, made by the port plugger before the machine starts. */
export interface PluggedVif {
  portId: string
  macAddress: string
  mtu: number
  /** Name of the tap; null with the fake network. */
  device: string | null
}

/** An image in the cache of this host. The format is known, never guessed from what a guest may have written. */
export interface LocalImage {
  path: string
  format: "raw" | "qcow2"
  virtualSizeBytes: number
}

/** How a hypervisor of this host opens a volume, as its driver says. */
export type LocalVolume =
  | {
      kind: "file"
      path: string
      format: "raw"
      /** Whether the file system does without the page cache. */
      isDirect: boolean
    }
  /** An image of a Ceph cluster. */
  | {
      kind: "rbd"
      pool: string
      image: string
      user: string
      monitors: readonly { host: string; port: string }[]
      /** The user's key in base64; this process's own file. */
      keyFile: string
    }
  /** A volume of another host. */
  | {
      kind: "iscsi"
      /** `10.1.0.5:3260` */
      portal: string
      target: string
      lun: number
      user: string
      initiator: string
      /** CHAP's secret in base64; this process's own file. */
      keyFile: string
    }
  /** There is nothing behind it; for the fake hypervisor alone. */
  | { kind: "nothing" }

export interface EnsureInput {
  spec: VmSpec
  power: "running" | "shutdown" | "paused"
  vifs: PluggedVif[]
  /** Ready-made local files for the spec's image disks by disk name, and `kernel` and `ramdisk` (cache filled). */
  imageFiles: Record<string, LocalImage>
  /** The spec's volumes by disk name, which is their id. Left out: none, as in what an earlier program has written. */
  volumes?: Record<string, LocalVolume>
}

/** Runs machines on one host. Called only from the agent's queue of that machine: never two calls at once for one. */
export interface Hypervisor {
  readonly name: string
  describe(): Promise<HypervisorDescription>
  /**
   * Makes the machine as the spec says, in the wanted power state; repeatable after any crash. `keys` open encrypted
   * volumes, and are asked when a process starts.
   */
  ensure(input: EnsureInput, prior: VmHandle | null, keys?: VolumeKeys): Promise<VmHandle>
  /** Re-attaches to what outlived us; never kills. */
  recover(handle: VmHandle): Promise<VmState>
  inspect(handle: VmHandle): Promise<VmState>
  setPower(
    handle: VmHandle,
    to: Extract<PowerState, "running" | "paused" | "shutdown">,
    how: { graceMs: number },
  ): Promise<VmState>
  reboot(handle: VmHandle, how: { hard: boolean; graceMs: number }): Promise<VmState>
  /** Switches the machine off, unless it is, and forgets it; its files stay as they are and may be moved. */
  letGo(handle: VmHandle, how: { graceMs: number }): Promise<void>
  /** Succeeds when already gone. */
  destroy(handle: VmHandle): Promise<void>
  consoleLog(handle: VmHandle, lines: number | null): Promise<string>
  diagnostics(handle: VmHandle): Promise<VmDiagnostics>
  events(signal: AbortSignal): AsyncIterable<VmEvent>
  [Symbol.asyncDispose](): Promise<void>
}

export interface HotplugsVifs {
  plugVif(handle: VmHandle, vif: PluggedVif): Promise<void>
  unplugVif(handle: VmHandle, portId: string): Promise<void>
}

/** Volumes are never made, changed or removed by a hypervisor. */
export interface PlugsVolumes {
  /** Whether it runs or not; repeatable, and there again after each start. The disk's name is the volume's id. */
  plugVolume(handle: VmHandle, disk: DiskSpec, volume: LocalVolume, keys?: VolumeKeys): Promise<void>
  /** Nothing has the volume open when this returns. A guest that keeps it is a fault, and nothing has changed then. */
  unplugVolume(handle: VmHandle, volumeId: string): Promise<void>
  /** The volume has grown to this size; a machine that has it shows it to its guest. */
  growVolume(handle: VmHandle, volumeId: string, sizeBytes: number): Promise<void>
  /**
   * Has volumes as they are at one moment, the same for all, copied. When this returns that moment has been, and the
   * guest goes on; what it writes since does not get into the copies. The caller sees to it that until its `end` has
   * returned nothing opens or closes a volume, though the machine may stop. One answer for each, in their order.
   */
  copyVolumes(handle: VmHandle, copies: readonly WantedCopy[]): Promise<RunningCopy[]>
}

export interface MovesVolumes {
  /**
   * Begins to keep `to`, which is as large and blank, the same as the volume while the guest goes on. Null: no process
   * has the volume open. The caller sees to it that until `end` has returned nothing else opens or closes it, though the
   * machine may stop.
   */
  mirrorVolume(handle: VmHandle, mirror: WantedMirror): Promise<RunningMirror | null>
  /**
   * After `end`: the guest is held for a moment in which both are the same, `commit` is called, and it goes on with `to`.
   * When this throws it goes on with what it had, unless its machine has ended.
   */
  switchVolume(handle: VmHandle, disk: DiskSpec, to: LocalVolume, commit: Commit): Promise<void>
  /**
   * Ends whatever the two have left of the disk of a volume, and says in which of these back ends the guest has it
   * open; null: nobody has it open.
   */
  endMirror(handle: VmHandle, disk: DiskSpec, places: VolumePlaces): Promise<string | null>
}

/** By back end. */
export type VolumePlaces = Readonly<Record<string, LocalVolume>>

/** Keeps which of the two is right from now on: the new one, or, when it comes to nothing, the old one. */
export type Commit = (isSwitched: boolean) => Promise<void>

export interface WantedMirror {
  disk: DiskSpec
  to: LocalVolume
  signal: AbortSignal
}

export interface RunningMirror {
  /** To be called once: both are the same when it returns, and stay so. */
  end(): Promise<void>
}

export interface WantedCopy {
  volumeId: string
  /** Of what is made; a copy of this name that an earlier agent has left is ended first. */
  name: string
  /**
   * Where there are data, a name for the file that it is copied to on the way: raw data, as the hypervisor writes them
   * and nobody shall obey what it says; it can be removed.
   */
  to: { kind: "file"; path: string } | { kind: "nothing" }
  /** Copies the volume from outside; called while nothing writes to it. */
  copyStill: () => Promise<void>
  /** Or takes over what is in the file. */
  copyImage: () => Promise<void>
  signal: AbortSignal
}

export interface RunningCopy {
  /** To be called once: when it returns or throws, the hypervisor has let go of the file. */
  end(): Promise<void>
}

export interface TakesSnapshots {
  snapshot(handle: VmHandle, disk: DiskSpec["name"], toPath: string): Promise<{ sizeBytes: number }>
}

export interface ReceivesDisks {
  /** Of a machine that is off: what its TPM holds, to this file; empty: nothing. */
  sendTpm(handle: VmHandle, toPath: string): Promise<void>
  /** The other end of it. At any crash the TPM holds what it held, or this. */
  receiveTpm(handle: VmHandle, path: string): Promise<void>
  /**
   * The disk of a machine that is off becomes what is in the image, which was looked at; it keeps its size and what it
   * stands on. At any crash it is what it was, or the image, whole.
   */
  receiveDisk(handle: VmHandle, disk: DiskSpec["name"], image: LocalImage): Promise<void>
}

export interface Suspends {
  /**
   * Writes the guest's memory to disk and ends the machine; takes no room in the host's memory then. Whatever starts
   * it lets it go on where it was; `setPower` to shutdown forgets the memory. Repeatable after any crash.
   */
  suspend(handle: VmHandle): Promise<VmState>
}

export type SendLiveHow = LiveHow & { signal: AbortSignal }

/** By name, as `liveStreams` says. */
export type LiveStreams = Readonly<Record<string, Duplex>>

/**
 * A guest that runs, or is paused, goes to another host with its disks. At the end it is whole in both places and
 * halted in both: the caller lets it go on in one, once, and destroys the other.
 */
export interface MigratesLive {
  layoutOf(handle: VmHandle): Promise<MachineLayout>
  /** What it is sent by: names for `sendLive`, and for `receiveLive` of the other host. */
  liveStreams(handle: VmHandle): Promise<string[]>
  /** On a failure it goes on as it was, unless it was halted by then: `endLive` and `setPower` follow. */
  sendLive(handle: VmHandle, streams: LiveStreams, how: SendLiveHow): Promise<LiveFigures>
  /** Whatever lies here of the machine is made anew. */
  receiveLive(
    input: EnsureInput,
    layout: MachineLayout,
    streams: LiveStreams,
    signal: AbortSignal,
    keys?: VolumeKeys,
  ): Promise<VmHandle>
  /** Gives up what `sendLive` has begun, also that of an earlier agent. The guest may be halted then. */
  endLive(handle: VmHandle): Promise<void>
  /** Null: it is on no way. */
  liveProgress(handle: VmHandle): Promise<LiveProgress | null>
  /** Halts the guest, so that it does not change faster than it can be sent. */
  hurryLive(handle: VmHandle): Promise<void>
}

export interface OffersConsoles {
  /** Connected to the running machine's screen (RFB without a password) or serial line; ends with the machine. */
  openConsole(handle: VmHandle, kind: ConsoleKind): Promise<Duplex>
}

export interface ReachesGuests {
  /** An interrupt that cannot be masked, on all processors of a machine that runs or is paused. */
  injectNmi(handle: VmHandle): Promise<void>
  /** By the agent that runs in the guest. A guest without one is a fault, and so is what it refuses. */
  setPassword(handle: VmHandle, user: string, password: string): Promise<void>
}

export function canHotplugVifs(hypervisor: Hypervisor): hypervisor is Hypervisor & HotplugsVifs {
  return "plugVif" in hypervisor && "unplugVif" in hypervisor
}

export function canPlugVolumes(hypervisor: Hypervisor): hypervisor is Hypervisor & PlugsVolumes {
  return "plugVolume" in hypervisor
}

export function canMoveVolumes(hypervisor: Hypervisor): hypervisor is Hypervisor & MovesVolumes {
  return "mirrorVolume" in hypervisor
}

export function canSnapshot(hypervisor: Hypervisor): hypervisor is Hypervisor & TakesSnapshots {
  return "snapshot" in hypervisor
}

export function canReceiveDisks(hypervisor: Hypervisor): hypervisor is Hypervisor & ReceivesDisks {
  return "receiveDisk" in hypervisor
}

export function canSuspend(hypervisor: Hypervisor): hypervisor is Hypervisor & Suspends {
  return "suspend" in hypervisor
}

export function canMigrateLive(hypervisor: Hypervisor): hypervisor is Hypervisor & MigratesLive {
  return "sendLive" in hypervisor
}

export function canOfferConsoles(hypervisor: Hypervisor): hypervisor is Hypervisor & OffersConsoles {
  return "openConsole" in hypervisor
}

export function canReachGuests(hypervisor: Hypervisor): hypervisor is Hypervisor & ReachesGuests {
  return "injectNmi" in hypervisor
}
