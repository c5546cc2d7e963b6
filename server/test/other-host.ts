// A second host of a test cloud, in the same process, for the cases of what goes from one host to another. No server
// comes to it but while it is open, so that the others find the one host that they know.
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { MemoryBackups } from "../src/agent/testing/memory-backups.ts"
import { FakeVolumeDriver } from "../src/agent/volumes/fake-driver.ts"
import { type AgentRole, startAgentRole } from "../src/agent-role.ts"
import { setHostDisabled } from "../src/compute/index.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import type {} from "../src/platform/streams/awaited-streams.ts"

export const otherHost = "host2"

const sharedDirectory = (dataDir: string) => join(dataDir, "shared-volumes")

/** Less than the others have: nobody gets volumes there but who asks for it. */
const sharedBytes = 32 * 1024 ** 3

/** The back end that both hosts have, of each of them. */
export function sharedVolumes(dataDir: string): FakeVolumeDriver {
  const directory = sharedDirectory(dataDir)
  mkdirSync(directory, { recursive: true })
  const own = { name: "shared", file: "", totalBytes: sharedBytes }
  return new FakeVolumeDriver({ ...own, directory, clock: systemClock })
}

export interface OtherHost {
  role: AgentRole
  agent: AgentRole["agent"]
  hypervisor: FakeHypervisor
}

/** By the cloud's data directory. */
const started = new Map<string, Promise<OtherHost>>()

/** Before its cloud stops. */
export async function stopOtherHost({ config }: Pick<Platform, "config">): Promise<void> {
  const host = await started.get(config.dataDir)
  started.delete(config.dataDir)
  await host?.role.stop({ guests: "leave", graceMs: 0 })
}

export async function openOtherHost(platform: Platform): Promise<OtherHost> {
  const { dataDir } = platform.config
  const opening = started.get(dataDir) ?? start(platform)
  started.set(dataDir, opening)
  const host = await opening
  host.agent.sayAlive()
  await eventually(`${otherHost} to be open`, () => setHostDisabled(platform, otherHost, null))
  return host
}

export async function closeOtherHost(platform: Platform): Promise<void> {
  await setHostDisabled(platform, otherHost, "only for what moves")
}

async function start({ config, bus, drivers }: Platform): Promise<OtherHost> {
  const { streams } = drivers
  if (!streams) throw new Error("the test cloud joins no streams")
  const dataDir = join(config.dataDir, otherHost)
  const clock = systemClock
  const hypervisor = new FakeHypervisor({
    ...{ host: otherHost, hostIp: "127.0.0.2", dir: join(dataDir, "agent/fake"), clock },
    capacity: { vcpus: 64, ramMib: 262_144, diskGib: 10_000 },
  })
  const volumes = existsSync(sharedDirectory(config.dataDir)) ? [sharedVolumes(config.dataDir)] : []
  const parts = { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes }
  const nothing = () => Promise.reject(new Error(`${otherHost} has no images and keys`))
  const role = await startAgentRole(
    { config: { host: otherHost, dataDir }, bus, clock, log: silentLogger },
    parts,
    {
      images: { open: nothing, store: nothing },
      backups: new MemoryBackups(),
      volumeKeys: { of: nothing, connect: nothing, ofTpm: nothing },
      streams: streams.dialer(otherHost),
    },
  )
  return { role, agent: role.agent, hypervisor }
}
