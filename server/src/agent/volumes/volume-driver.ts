// A back end of volumes, on this host or reached from it. Called only from the agent's queue of that volume, and of the
// one that it is copied from: never two calls at once that change one. Ids were checked before they come here.
import type { LocalImage, LocalVolume, WantedCopy } from "../hypervisor/hypervisor.ts"
import type { Fence, VolumeAbilities, VolumeConnection, VolumeFacts } from "../protocol.ts"

/** What a volume gets its data from, as `VolumeSource`. */
export type VolumeOrigin =
  | ImageOrigin
  /** The image in LUKS, or nothing in it: `write` as below. */
  | { kind: "encrypted"; image: ImageOrigin | null; write: (path: string) => Promise<void> }
  | { kind: "volume"; volumeId: string; take: TakeCopy }
  /** `write` puts them into a file that is there and empty. */
  | { kind: "file"; write: (path: string) => Promise<void> }

/** `open` fetches it; only for a volume that is not there yet. */
export interface ImageOrigin {
  kind: "image"
  open: () => Promise<LocalImage>
}

/** What comes by way of a file of this host. */
export type FileOrigin = Extract<VolumeOrigin, { kind: "file" | "encrypted" }>

export function isFileOrigin(origin: VolumeOrigin): origin is FileOrigin {
  return origin.kind === "file" || origin.kind === "encrypted"
}

/**
 * Copies the other volume as it is at one moment: whoever has it open writes the file and calls `copyImage`, otherwise
 * `copyStill` is called, and nothing writes to the volume then. It is over when this returns.
 */
export type TakeCopy = (copy: CopyOfMoment) => Promise<void>

export interface CopyOfMoment extends Pick<WantedCopy, "copyStill" | "copyImage"> {
  /** Or the back end keeps the moment by itself: then `copyStill` is called whoever writes, and is over soon. */
  to: WantedCopy["to"] | { kind: "moment" }
}

export interface UnmanagedFacts {
  name: string
  sizeBytes: number
  /** Why it cannot be taken; null: it can. */
  problem: string | null
}

/** Data beside the volumes, which are none: put there by operators, or left there when a volume was forgotten. */
export interface UnmanagedData {
  list(): Promise<UnmanagedFacts[]>
  /** They become the volume; what they are short of its size is zeros at their end. Repeatable. */
  take(volumeId: string, name: string, sizeBytes: number): Promise<VolumeFacts>
  /** From then on the volume is not there, and its data are beside: under this name, or one like it. Repeatable. */
  leave(volumeId: string, name: string): Promise<void>
}

export interface ExportWish {
  host: string
  /** Left out: the host's own. */
  initiator?: string
  /** Of somebody outside: for which reservation. Whoever had it for an earlier one is cut off. */
  hold?: string
  /** The same or a later one than before. */
  fence: Fence
}

/** Volumes that machines of other hosts reach over a network; each is one host's at a time. */
export interface VolumeExports {
  /**
   * From now on the other host reaches it. Repeatable. Throws while another one has it open.
   */
  connect(volumeId: string, wish: ExportWish): Promise<VolumeConnection>
  /** No host reaches it any more; one that has it open is cut off. Succeeds when that is so already. */
  disconnect(volumeId: string, fence: Fence): Promise<void>
  /** How a hypervisor of this host opens a volume of another one, which `ask` says. */
  reach(volumeId: string, ask: () => Promise<VolumeConnection>): Promise<LocalVolume>
  /** What is known of other hosts' volumes, but for these. */
  forgetReached(isKept: (volumeId: string) => boolean): Promise<void>
}

export interface VolumeCapacity {
  totalBytes: number
  freeBytes: number
  /** What the volumes are in, by a name that nothing else has: hosts that say the same reach the same volumes. */
  share?: string
  /** Hosts that say the same reach each other's volumes, which stay where they are: `exports`. */
  connects?: string
}

export interface VolumeDriver {
  /** The back end's name, by which commands choose it. */
  readonly name: string
  readonly abilities: VolumeAbilities
  capacity(): Promise<VolumeCapacity>
  /**
   * Blank without an origin. What is there in this size stays as it is; what a crash has left unfinished is made anew.
   * `signal` ends what copies, and leaves nothing.
   */
  create(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<VolumeFacts>
  /** Never smaller: one that is as large or larger stays as it is. */
  extend(volumeId: string, sizeBytes: number): Promise<VolumeFacts>
  /** It keeps its size; at any crash it has the data of before or those of the origin, whole. */
  revert(volumeId: string, origin: VolumeOrigin, signal: AbortSignal): Promise<VolumeFacts>
  /** Writes the volume's data to a file of this host, as an image of this format. */
  copyOut(
    volumeId: string,
    to: { path: string; diskFormat: string; take: TakeCopy },
    signal: AbortSignal,
  ): Promise<void>
  /** Succeeds when already gone. */
  delete(volumeId: string): Promise<void>
  /** Keeps the data out of the way, and is repeatable; from then on the volume is not there. */
  setAside(volumeId: string): Promise<void>
  /** Null: it is not there. */
  inspect(volumeId: string): Promise<VolumeFacts | null>
  /** Also what no command has named. */
  list(): Promise<({ volumeId: string } & VolumeFacts)[]>
  /** How a hypervisor of this host opens it. */
  open(volumeId: string): Promise<LocalVolume>
  /** What commands that were cut short have left beside the volumes. Only before commands are taken. */
  removeLeftovers(): Promise<void>
  /** Undefined: the back end has nothing beside its volumes. */
  readonly unmanaged?: UnmanagedData
  /** Undefined: only machines of this host reach its volumes, or it has none of its own. */
  readonly exports?: VolumeExports
}
