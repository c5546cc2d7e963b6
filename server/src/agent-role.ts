// The role "agent": joins a host's agent to the bus. Belongs to the composition root, as the agent knows no bus.
import { type Agent, type CommandName, createAgent } from "./agent/agent.ts"
import type { Hypervisor } from "./agent/hypervisor/hypervisor.ts"
import { createImageCache, type ImageSource } from "./agent/image-cache/image-cache.ts"
import { noImageCache } from "./agent/image-cache/no-image-cache.ts"
import { agentDirectories } from "./agent/machine-store.ts"
import type { PortPlugger } from "./agent/ports/port-plugger.ts"
import { type AgentCommands, agentReportTopic, agentTopic } from "./agent/protocol.ts"
import type { Config } from "./platform/config/config.ts"
import type { Platform } from "./platform/context/context.ts"

export interface AgentParts {
  hypervisor: Hypervisor
  ports: PortPlugger
  /** False for the fake hypervisor, which never looks at image data. */
  usesImages: boolean
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

/** Bytes of cached images on this host; unused ones go first when it is full. */
const imageCacheLimitBytes = 50 * 1024 ** 3
/** Commands at a time over all machines of this host; each machine has its own queue below. */
const commandConcurrency = 64

/** What an agent stands on: the bus to its cloud, and no database. */
export type AgentPlatform = Pick<Platform, "bus" | "clock" | "log"> & {
  config: Pick<Config, "dataDir" | "host">
}

export async function startAgentRole(
  platform: AgentPlatform,
  parts: AgentParts,
  images: ImageSource,
): Promise<AgentRole> {
  const { dataDir, host } = platform.config
  const { clock, log } = platform
  const agent = createAgent({
    host,
    hypervisor: parts.hypervisor,
    ports: parts.ports,
    images: parts.usesImages
      ? createImageCache({
          dir: agentDirectories(dataDir).images,
          source: images,
          limitBytes: imageCacheLimitBytes,
          clock,
          log,
        })
      : noImageCache,
    dataDir,
    log,
    clock,
    report: (report) => {
      platform.bus
        .publish(agentReportTopic, report)
        .catch((err: unknown) => log.warn({ err }, "agent report was not sent"))
    },
  })
  await agent.recoverAll()
  const serving = await platform.bus.serve(
    agentTopic(host),
    // Both sides of the bus import the protocol; the agent refuses a method that it does not know.
    async (method, args) =>
      await agent.handle(method as CommandName, args as AgentCommands[CommandName]["args"]),
    { concurrency: commandConcurrency },
  )
  return {
    agent,
    async stop({ guests, graceMs }) {
      await serving[Symbol.asyncDispose]()
      if (guests === "power_off") await agent.stopForShutdown({ graceMs })
      else await agent.release()
    },
  }
}
