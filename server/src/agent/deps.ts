// What the agent of a host is made of.
import type { Clock } from "../platform/clock/clock.ts"
import type { Logger } from "../platform/log/log.ts"
import type { StreamDialer } from "./consoles.ts"
import type { Hypervisor } from "./hypervisor/hypervisor.ts"
import type { ImageCache } from "./image-cache/image-cache.ts"
import type { ImageStore } from "./image-cache/image-store.ts"
import type { MetadataServer } from "./metadata/metadata-keeper.ts"
import type { NetworkPart } from "./network-part.ts"
import type { PortPlugger } from "./ports/port-plugger.ts"
import type { AgentReport } from "./protocol.ts"
import type { StartRightsSource } from "./start-rights.ts"
import type { BackupStore } from "./volumes/backup-store.ts"
import type { VolumeDriver } from "./volumes/volume-driver.ts"
import type { VolumeKeys } from "./volumes/volume-keys.ts"

export interface AgentDeps {
  host: string
  hypervisor: Hypervisor
  ports: PortPlugger
  images: ImageCache
  /** The back ends of volumes that this host has or reaches. */
  volumes: readonly VolumeDriver[]
  /** Takes snapshots. */
  imageStore: Pick<ImageStore, "store">
  backups: BackupStore
  volumeKeys: VolumeKeys
  startRights: StartRightsSource
  /** Opens what streams of machines go over. */
  streams: StreamDialer
  /** Null: guests are not answered at 169.254.169.254 (fake network). */
  metadata: MetadataServer | null
  /** The agent's own directory lies in it (`agentDirectories`). */
  dataDir: string
  log: Logger
  clock: Clock
  report: (report: AgentReport) => void
  /** The kernel's, unless a test plays a reboot. */
  bootId?: () => string
  /** This host's part of the network, where nobody else looks after it. */
  network?: NetworkPart
  aliveIntervalMs?: number
  poolTimeoutMs?: number
  resumePausesMs?: readonly number[]
}
