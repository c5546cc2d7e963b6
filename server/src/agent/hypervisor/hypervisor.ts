import type { Duplex } from "node:stream"
import type {
  ConsoleKind,
  DiskSpec,
  HostDescription,
  PowerState,
  VmDiagnostics,
  VmSpec,
  VmState,
} from "../protocol.ts"

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

export interface EnsureInput {
  spec: VmSpec
  power: "running" | "shutdown" | "paused"
  vifs: PluggedVif[]
  /** Ready-made local files for the spec's image disks by disk name, and `kernel` and `ramdisk` (cache filled). */
  imageFiles: Record<string, LocalImage>
}

/** Runs machines on one host. Called only from the agent's queue of that machine: never two calls at once for one. */
export interface Hypervisor {
  readonly name: string
  describe(): Promise<HypervisorDescription>
  /** Makes the machine as the spec says, in the wanted power state; repeatable after any crash. */
  ensure(input: EnsureInput, prior: VmHandle | null): Promise<VmHandle>
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

export interface TakesSnapshots {
  snapshot(handle: VmHandle, disk: DiskSpec["name"], toPath: string): Promise<{ sizeBytes: number }>
}

export interface Suspends {
  /**
   * Writes the guest's memory to disk and ends the machine; takes no room in the host's memory then. Whatever starts
   * it lets it go on where it was; `setPower` to shutdown forgets the memory. Repeatable after any crash.
   */
  suspend(handle: VmHandle): Promise<VmState>
}

export interface OffersConsoles {
  /** Connected to the running machine's screen (RFB without a password) or serial line; ends with the machine. */
  openConsole(handle: VmHandle, kind: ConsoleKind): Promise<Duplex>
}

export function canHotplugVifs(hypervisor: Hypervisor): hypervisor is Hypervisor & HotplugsVifs {
  return "plugVif" in hypervisor && "unplugVif" in hypervisor
}

export function canSnapshot(hypervisor: Hypervisor): hypervisor is Hypervisor & TakesSnapshots {
  return "snapshot" in hypervisor
}

export function canSuspend(hypervisor: Hypervisor): hypervisor is Hypervisor & Suspends {
  return "suspend" in hypervisor
}

export function canOfferConsoles(hypervisor: Hypervisor): hypervisor is Hypervisor & OffersConsoles {
  return "openConsole" in hypervisor
}
