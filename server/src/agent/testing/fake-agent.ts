// An agent over the fake hypervisor for tests: everything in one directory, opened again as often as wanted.
import { join } from "node:path"
import { type Clock, systemClock } from "../../platform/clock/clock.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { type Agent, createAgent } from "../agent.ts"
import type { StreamDialer } from "../consoles.ts"
import { FakeHypervisor } from "../hypervisor/fake/fake.ts"
import type { FakeControl } from "../hypervisor/fake/options.ts"
import type { ImageCache } from "../image-cache/image-cache.ts"
import type { ImageStore } from "../image-cache/image-store.ts"
import { noImageCache } from "../image-cache/no-image-cache.ts"
import type { MetadataServer } from "../metadata/metadata-keeper.ts"
import type { AgentReport } from "../protocol.ts"
import type { StartRightsSource } from "../start-rights.ts"
import type { BackupStore } from "../volumes/backup-store.ts"
import { FakeVolumeDriver } from "../volumes/fake-driver.ts"
import type { VolumeDriver } from "../volumes/volume-driver.ts"
import type { VolumeKeys } from "../volumes/volume-keys.ts"
import { MemoryBackups } from "./memory-backups.ts"
import { allMayStart, memoryPlugger, noStreams, noVolumeKeys } from "./qemu-agent.ts"

export interface FakeAgent {
  agent: Agent
  fake: FakeHypervisor
  volumes: FakeVolumeDriver
  /** Another back end, `fake2`, where it is asked for. */
  others: FakeVolumeDriver
  reports: AgentReport[]
  /** States told of one machine, in order. */
  told(serverId: string): string[]
}

export async function openFakeAgent(options: {
  dataDir: string
  plugged: Set<string>
  /** With `fake2`. */
  hasOtherBackend?: boolean
  /** Beside them. */
  moreBackends?: readonly VolumeDriver[]
  bootId?: string
  images?: ImageCache
  /** Default: nothing is stored. */
  store?: ImageStore["store"]
  backups?: BackupStore
  volumeKeys?: VolumeKeys
  /** Default: whatever ran may. */
  startRights?: StartRightsSource
  metadata?: MetadataServer
  streams?: StreamDialer
  clock?: Clock
  poolTimeoutMs?: number
  resumePausesMs?: readonly number[]
  /** Of the hypervisor, from the start on. */
  fail?: FakeControl["fail"]
}): Promise<FakeAgent> {
  const fake = new FakeHypervisor({
    host: "host1",
    hostIp: "127.0.0.1",
    dir: join(options.dataDir, "agent", "fake"),
    clock: systemClock,
    ...(options.fail ? { control: { fail: options.fail } } : {}),
  })
  const volumes = new FakeVolumeDriver({
    file: join(options.dataDir, "agent", "volumes", "fake", "volumes.json"),
    clock: systemClock,
  })
  const others = new FakeVolumeDriver({
    name: "fake2",
    file: join(options.dataDir, "agent", "volumes", "fake2", "volumes.json"),
    clock: systemClock,
  })
  const reports: AgentReport[] = []
  const agent = createAgent({
    host: "host1",
    hypervisor: fake,
    ports: memoryPlugger(options.plugged),
    images: options.images ?? noImageCache,
    volumes: [volumes, ...(options.hasOtherBackend ? [others] : []), ...(options.moreBackends ?? [])],
    imageStore: { store: options.store ?? (async () => {}) },
    backups: options.backups ?? new MemoryBackups(),
    volumeKeys: options.volumeKeys ?? noVolumeKeys,
    startRights: options.startRights ?? allMayStart,
    streams: options.streams ?? noStreams,
    metadata: options.metadata ?? null,
    dataDir: options.dataDir,
    log: silentLogger,
    clock: options.clock ?? systemClock,
    report: (report) => reports.push(report),
    bootId: () => options.bootId ?? "boot-1",
    ...(options.poolTimeoutMs === undefined ? {} : { poolTimeoutMs: options.poolTimeoutMs }),
    ...(options.resumePausesMs ? { resumePausesMs: options.resumePausesMs } : {}),
  })
  await agent.recoverAll()
  const told = (serverId: string) =>
    reports.flatMap((r) => (r.kind === "vm" && r.serverId === serverId ? [r.state.power] : []))
  return { agent, fake, volumes, others, reports, told }
}
