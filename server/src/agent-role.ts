// The role "agent": joins a host's agent to the bus. Belongs to the composition root, as the agent knows no bus.
import { type Agent, type CommandName, createAgent } from "./agent/agent.ts"
import type { StreamDialer } from "./agent/consoles.ts"
import type { Hypervisor } from "./agent/hypervisor/hypervisor.ts"
import { createImageCache } from "./agent/image-cache/image-cache.ts"
import type { ImageStore } from "./agent/image-cache/image-store.ts"
import { noImageCache } from "./agent/image-cache/no-image-cache.ts"
import { agentDirectories } from "./agent/machine-store.ts"
import type { MetadataServer } from "./agent/metadata/metadata-keeper.ts"
import type { NetworkPart } from "./agent/network-part.ts"
import type { PortPlugger } from "./agent/ports/port-plugger.ts"
import {
  type AgentCommands,
  agentReportTopic,
  agentTopic,
  type StartRights,
  startRightsTopic,
} from "./agent/protocol.ts"
import type { StartRightsSource } from "./agent/start-rights.ts"
import type { BackupStore } from "./agent/volumes/backup-store.ts"
import type { VolumeDriver } from "./agent/volumes/volume-driver.ts"
import type { VolumeKeys } from "./agent/volumes/volume-keys.ts"
import type { Bus } from "./platform/bus/bus.ts"
import type { Clock } from "./platform/clock/clock.ts"
import type { Logger } from "./platform/log/log.ts"

export interface AgentParts {
  hypervisor: Hypervisor
  ports: PortPlugger
  /** Null: guests are not answered at 169.254.169.254 (fake network). */
  metadata: MetadataServer | null
  /** Of images that this host keeps. Null: of the fake hypervisor, which never looks at image data. */
  imageCacheBytes: number | null
  /** The back ends of volumes that this host has or reaches. */
  volumes: readonly VolumeDriver[]
  /** Of a joined host: its part of the network. */
  network?: NetworkPart
}

/** What an agent needs of the process that it runs in; no database. */
export interface AgentSurroundings {
  readonly config: { readonly host: string; readonly dataDir: string }
  readonly bus: Bus
  readonly clock: Clock
  readonly log: Logger
}

/** How it reaches what the cloud has, beside the bus: in this process, or through the door. */
export interface AgentReach {
  images: ImageStore
  backups: BackupStore
  volumeKeys: VolumeKeys
  streams: StreamDialer
}

export interface AgentRole {
  readonly agent: Agent
  stop(options: StopOptions): Promise<void>
}

export interface StopOptions {
  guests: "power_off" | "leave"
  /** How long guests get to power off by themselves. */
  graceMs: number
}

/** The cloud looks at a few rows. */
const startRightsTimeoutMs = 20_000

function startRightsBy(bus: Bus, host: string): StartRightsSource {
  return {
    of: async (asked, signal) => {
      // What the cloud answers on this topic.
      return (await bus.call(startRightsTopic, host, asked, {
        timeoutMs: startRightsTimeoutMs,
        signal,
      })) as StartRights
    },
  }
}

/** Commands at a time over all machines of this host; each machine has its own queue below. */
const commandConcurrency = 64

export async function startAgentRole(
  { config, bus, clock, log }: AgentSurroundings,
  parts: AgentParts,
  { images, backups, volumeKeys, streams }: AgentReach,
): Promise<AgentRole> {
  const { dataDir, host } = config
  const stopping = new AbortController()
  const agent = createAgent({
    host,
    hypervisor: parts.hypervisor,
    ports: parts.ports,
    images:
      parts.imageCacheBytes !== null
        ? createImageCache({
            dir: agentDirectories(dataDir).images,
            source: images,
            limitBytes: parts.imageCacheBytes,
            clock,
            log,
            signal: stopping.signal,
          })
        : noImageCache,
    volumes: parts.volumes,
    imageStore: images,
    backups,
    volumeKeys,
    startRights: startRightsBy(bus, host),
    streams,
    metadata: parts.metadata,
    ...(parts.network ? { network: parts.network } : {}),
    dataDir,
    log,
    clock,
    report: (report) => {
      bus
        .publish(agentReportTopic, report)
        .catch((err: unknown) => log.warn({ err }, "agent report was not sent"))
    },
  })
  await agent.recoverAll()
  const serving = await bus.serve(
    agentTopic(host),
    // Both sides of the bus import the protocol; the agent refuses a method that it does not know.
    async (method, args, signal) =>
      await agent.handle(method as CommandName, args as AgentCommands[CommandName]["args"], signal),
    { concurrency: commandConcurrency },
  )
  return {
    agent,
    async stop({ guests, graceMs }) {
      stopping.abort()
      await serving[Symbol.asyncDispose]()
      if (guests === "power_off") await agent.stopForShutdown({ graceMs })
      else await agent.release()
    },
  }
}
