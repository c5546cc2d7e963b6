// The noun: its shape, its states, what may follow what.
//
//   queued ──upload──▶ saving ──▶ active ◀──▶ deactivated
//     │  ▲───(transfer died)──┘      ▲
//     └──stage──▶ uploading ──import──▶ importing

export const imageStatuses = [
  "queued",
  "saving",
  "uploading",
  "importing",
  "active",
  "deactivated",
  "killed",
  "pending_delete",
] as const
export type ImageStatus = (typeof imageStatuses)[number]

export const visibilities = ["public", "community", "shared", "private"] as const
export type Visibility = (typeof visibilities)[number]

export const diskFormats = [
  "ami",
  "ari",
  "aki",
  "vhd",
  "vhdx",
  "vmdk",
  "raw",
  "qcow2",
  "vdi",
  "iso",
  "ploop",
] as const
export const containerFormats = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"] as const

export interface Image {
  id: string
  /** Null when nobody owns it. */
  projectId: string | null
  name: string | null
  status: ImageStatus
  visibility: Visibility
  diskFormat: string | null
  containerFormat: string | null
  sizeBytes: number | null
  virtualSizeBytes: number | null
  minDiskGib: number
  minRamMib: number
  isProtected: boolean
  isHidden: boolean
  /** md5 of the data. */
  checksum: string | null
  osHashAlgo: string | null
  osHashValue: string | null
  /** Everything that users add under their own names. */
  properties: Record<string, string>
  tags: string[]
  /** Why no machine may boot it although its data are there. */
  contentProblem: string | null
  generation: number
  createdAt: Date
  updatedAt: Date
}

/** States in which the data can be read. */
export function hasData(image: Pick<Image, "status">): boolean {
  return image.status === "active" || image.status === "deactivated"
}

/** What users may not set: the cloud's own words. */
export const reservedPrefix = "os_glance"

/** Properties that the cloud keeps for itself and does not show. */
export const hiddenProperties: readonly string[] = ["os_glance_stage_host"]
