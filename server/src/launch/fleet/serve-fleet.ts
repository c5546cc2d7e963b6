// A process of simulated hosts: each has an agent of its own, as a real host has, with a hypervisor without machines.
// Ends when it is told to or the process with the bus is gone.
import { join } from "node:path"
import { agentAbilityMissing } from "../../agent/faults.ts"
import { FakeHypervisor } from "../../agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../../agent/ports/fake-plugger.ts"
import type { VolumeBackEnd } from "../../agent/volumes/back-end-kinds.ts"
import { makeDrivers } from "../../agent/volumes/make-drivers.ts"
import { type AgentRole, startAgentRole } from "../../agent-role.ts"
import type { Bus } from "../../platform/bus/bus.ts"
import { openSocketBus } from "../../platform/bus/socket-bus.ts"
import { systemClock } from "../../platform/clock/clock.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import { createLogger, type Logger } from "../../platform/log/log.ts"
import { socketStreamDialer } from "../../platform/streams/stream-socket.ts"
import { endWhenUncaught } from "../parent.ts"
import { hostsOfProcess, type ProfileName, profiles, readFleet, simulatedName } from "./fleet-file.ts"
import { serveReady } from "./ready.ts"

const atOnce = 16

export async function serveFleet(args: string[]): Promise<number> {
  const [dataDir = "", busSocket = "", streamSocket = "", index = "0", readySocket = "", shared = "[]"] = args
  // As `fleet.ts` gives it.
  const backEnds = JSON.parse(shared) as VolumeBackEnd[]
  const log = createLogger({ level: process.env.KUMOI_LOG_LEVEL ?? "info" })
  endWhenUncaught(log)
  const ended = Promise.withResolvers<void>()
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => ended.resolve())
  const bus = await openSocketBus({ socketPath: busSocket, log, onLost: () => ended.resolve() })
  const first = Number(index) * hostsOfProcess
  const own = readFleet(dataDir).hosts.slice(first, first + hostsOfProcess)
  const hosts = own.map((profile, at) => ({ name: simulatedName(first + at + 1), profile }))
  const roles: AgentRole[] = []
  await inParallel(hosts, atOnce, async (host) => {
    roles.push(await startSimulated({ ...host, backEnds, dataDir, bus, streamSocket, log }))
  })
  await using _ready = await serveReady(readySocket)
  await ended.promise
  await inParallel(roles, atOnce, (role) => role.stop({ guests: "leave", graceMs: 0 }))
  await bus[Symbol.asyncDispose]()
  return 0
}

interface Simulated {
  name: string
  profile: ProfileName
  /** None: each has one of its own. */
  backEnds: readonly VolumeBackEnd[]
  dataDir: string
  bus: Bus
  streamSocket: string
  log: Logger
}

async function startSimulated({
  name,
  profile,
  backEnds,
  dataDir,
  bus,
  streamSocket,
  log,
}: Simulated): Promise<AgentRole> {
  const own = join(dataDir, "fleet", name)
  const clock = systemClock
  const hypervisor = new FakeHypervisor({
    host: name,
    hostIp: "127.0.0.1",
    dir: join(own, "agent/fake"),
    clock,
    capacity: profiles[profile],
  })
  const volumes = makeDrivers({
    ...{ backEnds, host: name, clock, isSimulated: true, volumesDir: join(own, "agent/volumes") },
    canReach: () => true,
    // None of them gives a volume to others.
    tgtd: { canReach: () => true, socket: () => "", user: null },
  })
  const parts = { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes }
  const config = { host: name, dataDir: own }
  return await startAgentRole({ config, bus, clock, log }, parts, {
    ...nothing,
    streams: socketStreamDialer(streamSocket, name),
  })
}

const lacks = (ability: string) => () => Promise.reject(agentAbilityMissing("simulated host", ability))
const noBackups = lacks("keep a backup")

/** A simulated host looks at no image. */
const nothing = {
  images: {
    open: lacks("look at an image"),
    store: lacks("store an image"),
  },
  volumeKeys: {
    of: lacks("open an encrypted volume"),
    connect: lacks("open a volume of another host"),
    ofTpm: lacks("open a TPM"),
  },
  backups: {
    offer: noBackups,
    put: noBackups,
    finish: noBackups,
    open: noBackups,
    digests: noBackups,
    get: noBackups,
  },
}
