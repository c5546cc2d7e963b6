// The drivers of this host: real ones on supervised engines, or fakes. What the plan says is what is made.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { FakeConfig } from "../agent/hypervisor/fake/config.ts"
import { FakeHypervisor } from "../agent/hypervisor/fake/fake.ts"
import type { Hypervisor } from "../agent/hypervisor/hypervisor.ts"
import type { HostCpus } from "../agent/hypervisor/qemu/cpu-pins.ts"
import { agentDirectories } from "../agent/machine-store.ts"
import { MetadataProxy, shareWithProxy } from "../agent/metadata/metadata-proxy.ts"
import { FakePlugger } from "../agent/ports/fake-plugger.ts"
import { OvnPlugger } from "../agent/ports/ovn-plugger.ts"
import type { PortPlugger } from "../agent/ports/port-plugger.ts"
import type { VolumeBackEnd } from "../agent/volumes/back-end-kinds.ts"
import { IscsiVolumeDriver } from "../agent/volumes/iscsi-driver.ts"
import { forgottenBackEnds, makeDrivers } from "../agent/volumes/make-drivers.ts"
import type { VolumeDriver } from "../agent/volumes/volume-driver.ts"
import type { AgentParts } from "../agent-role.ts"
import { hasHostAuthority } from "../host/index.ts"
import type { HostsNetwork } from "../hosts.ts"
import type { MetadataParts } from "../main.ts"
import { FakeNetworkDriver } from "../network/driver/fake/fake-driver.ts"
import type { NetworkDriver } from "../network/driver/network-driver.ts"
import { systemClock } from "../platform/clock/clock.ts"
import { badConfig } from "../platform/config/config.ts"
import { parseCpuSet } from "../platform/cpu-set/cpu-set.ts"
import type { Logger } from "../platform/log/log.ts"
import { type BridgeMappings, ownPublicNetwork } from "../platform/net/bridge-mappings.ts"
import { dialSocket } from "../platform/net/unix-socket.ts"
import type { Supervisor } from "../platform/supervise/supervisor.ts"
import { type CloudDir, canReach } from "./cloud-dir.ts"
import { metadataProxyEngine } from "./engines/haproxy-metadata.ts"
import { ovnEngines, retellChassis } from "./engines/ovn.ts"
import { physicalNetworksOf } from "./engines/ovn-chassis.ts"
import { ChassisWatch } from "./engines/ovn-chassis-watch.ts"
import { setUpNetworkHost } from "./engines/ovn-host.ts"
import { integrationBridge } from "./engines/ovn-paths.ts"
import { probeDatapath } from "./engines/ovn-probe.ts"
import { dialSouthbound, forgetChassis, openSouthbound } from "./engines/ovn-southbound.ts"
import type { TunnelOptions } from "./engines/ovn-tunnel.ts"
import { tgtdEngine, tgtdSocket } from "./engines/tgtd.ts"
import type { StartPlan } from "./plan.ts"

export interface HostParts {
  network: NetworkDriver
  agent: AgentParts
  metadata: MetadataParts | null
  /** Null: hosts on other machines have no part in the network. */
  hosts: HostsNetwork | null
}

export interface HostOptions {
  plan: StartPlan
  dir: CloudDir
  supervisor: Supervisor
  log: Logger
  host: string
  hostIp: string
  /** Gateway of the public network with its prefix length. */
  publicAddress: string
  /** By which bridges of the machine it reaches physical networks. */
  bridgeMappings: BridgeMappings
  /** As configured. */
  volumeBackEnds: readonly VolumeBackEnd[]
  imageCacheBytes: number
  storageNetworks: readonly string[]
  fakePace: FakeConfig["pace"]
  cpuDedicatedSet: string
  /** By which the rows of the network's databases are known. */
  networkId: string
  /** One of several control hosts: its controller may be on its way to the southbound database of before. */
  isOneOfSeveral: boolean
  /** For hosts on other machines, once there are any. */
  tunnel: Omit<TunnelOptions, "datapathType">
  say: (line: string) => void
}

export async function startHostParts(options: HostOptions): Promise<HostParts> {
  const network = options.plan.network === "ovn" ? await startOvn(options) : fakeNetwork()
  const hypervisor = await makeHypervisor(options, network.ports)
  const volumes = await startVolumeDrivers(options)
  return {
    network: network.driver,
    metadata: network.metadata,
    hosts: network.hosts,
    agent: {
      hypervisor,
      ports: network.ports,
      metadata: network.proxy,
      imageCacheBytes: options.plan.hypervisor === "qemu" ? options.imageCacheBytes : null,
      volumes,
    },
  }
}

/** What a simulated host claims to have: more than API work asks for, as Nova's fake driver does. */
const fakeCapacity = { vcpus: 1_000, ramMib: 800_000, diskGib: 600_000 }

interface NetworkParts {
  driver: NetworkDriver
  ports: PortPlugger
  metadata: MetadataParts | null
  proxy: MetadataProxy | null
  hosts: HostsNetwork | null
}

function fakeNetwork(): NetworkParts {
  return {
    driver: new FakeNetworkDriver(),
    ports: new FakePlugger(),
    metadata: null,
    proxy: null,
    hosts: null,
  }
}

async function startOvn(options: HostOptions): Promise<NetworkParts> {
  const { dir, log, supervisor, host, plan, bridgeMappings } = options
  const { cloudId } = dir.facts
  const { OvnDriver } = await import("../network/driver/ovn/ovn-driver.ts")
  const datapathType = await probeDatapath()
  const tunnel = { ...options.tunnel, datapathType }
  const isPublic = !Object.hasOwn(bridgeMappings, ownPublicNetwork)
  const publicAddresses = isPublic ? [options.publicAddress] : []
  const { storageNetworks } = options
  const networkHost = { id: cloudId, publicAddresses, bridgeMappings, storageNetworks, log }
  // Left out, a tunnel that there is would be taken away.
  const hasHosts = hasHostAuthority(dir.path)
  const paths = await setUpNetworkHost({ ...networkHost, ...(hasHosts ? { tunnel } : {}) })
  const chassis = {
    paths,
    databaseDir: join(dir.path, "ovn"),
    logDir: dir.logDir,
    hostId: host,
    isPublic,
    bridgeMappings,
    datapathType,
    isRelayed: options.isOneOfSeveral,
  }
  const watch = new ChassisWatch(paths)
  const engines = ovnEngines(chassis)
  for (const engine of engines) await supervisor.start(engine)
  const common = { switchSocket: paths.switchSocket, integrationBridge, netns: paths.netns }
  const proxy = new MetadataProxy({
    ...common,
    metadataSocket: paths.metadataSocket,
    proxyDir: paths.proxyDir,
  })
  return {
    driver: new OvnDriver({
      northboundSocket: paths.northboundSocket,
      cloudId: options.networkId,
      gateways: [{ chassis: host, priority: 1 }],
    }),
    ports: new OvnPlugger({
      ...common,
      netnsFile: paths.netnsFile,
      ...(plan.guestUser ? { ownerUid: plan.guestUser.uid } : {}),
    }),
    metadata: {
      socketPath: paths.metadataSocket,
      start: async () => {
        await shareWithProxy(paths.metadataSocket)
        await supervisor.start(metadataProxyEngine({ paths, logDir: dir.logDir }))
      },
    },
    proxy,
    hosts: {
      open: async (tls) => {
        await setUpNetworkHost({ ...networkHost, tunnel })
        await retellChassis(chassis)
        await openSouthbound(paths, tls)
      },
      physicalNetworks: async (name) => await physicalNetworksOf(paths, name),
      southbound: async () => await dialSouthbound(paths),
      database: async (name) =>
        await dialSocket(name === "nb" ? paths.northboundSocket : paths.southboundSocket),
      forget: async (name) => await forgetChassis(paths, name),
      compare: async (addresses) => await watch.compare(addresses),
      close: async () => await watch[Symbol.asyncDispose](),
    },
  }
}

type VolumeOptions = Pick<
  HostOptions,
  "plan" | "dir" | "supervisor" | "log" | "host" | "volumeBackEnds" | "say"
>

/** With what gives volumes to other hosts. */
export async function startVolumeDrivers(options: VolumeOptions): Promise<VolumeDriver[]> {
  const drivers = makeVolumeDrivers(options)
  for (const driver of drivers) {
    if (!(driver instanceof IscsiVolumeDriver) || !driver.target) continue
    const { dir, log, supervisor } = options
    await supervisor.start(tgtdEngine({ driver, logDir: dir.logDir, log }))
  }
  return drivers
}

function makeVolumeDrivers({
  plan: { hypervisor, guestUser, storageUser },
  dir,
  host,
  volumeBackEnds: backEnds,
  say,
}: VolumeOptions): VolumeDriver[] {
  const { volumes: volumesDir } = agentDirectories(dir.path)
  const asked = { backEnds, isSimulated: hypervisor === "fake", volumesDir }
  for (const name of forgottenBackEnds(asked)) {
    say(`volumes of the back end ${name} lie in ${join(volumesDir, name)}, and it is not configured`)
  }
  return makeDrivers({
    ...{ ...asked, host, clock: systemClock },
    canReach: (path) => guestUser === null || canReach(path, guestUser),
    tgtd: {
      socket: (backEnd) => tgtdSocket(dir.runDir, dir.facts.cloudId, backEnd),
      user: storageUser,
      canReach: (path) => storageUser === null || canReach(path, storageUser),
    },
  })
}

export type HypervisorOptions = Pick<
  HostOptions,
  "plan" | "dir" | "log" | "host" | "hostIp" | "fakePace" | "cpuDedicatedSet" | "say"
>

export async function makeHypervisor(options: HypervisorOptions, ports: PortPlugger): Promise<Hypervisor> {
  const { dir, host, hostIp, log, plan } = options
  const directories = agentDirectories(dir.path)
  const clock = systemClock
  if (plan.hypervisor === "fake") {
    const { fakePace: pace } = options
    const capacity = { ...fakeCapacity, dedicatedCpus: dedicatedOf(options.cpuDedicatedSet).length }
    return new FakeHypervisor({ host, hostIp, dir: directories.fake, clock, capacity, pace })
  }
  // Neither these nor the network's engine are loaded where they are simulated.
  const [{ probeAccelerator }, { QemuHypervisor }] = await Promise.all([
    import("../agent/hypervisor/qemu/accelerator.ts"),
    import("../agent/hypervisor/qemu/qemu.ts"),
  ])
  options.say("looking whether this machine accelerates guests (KVM)")
  const { accelerator, reason } = await probeAccelerator({ stateFile: directories.accelerator, clock })
  options.say(accelerator === "kvm" ? "guests run on KVM" : `guests run by emulation (tcg): ${reason}`)
  return new QemuHypervisor({
    host,
    hostIp,
    vmsDir: directories.vms,
    clock,
    log,
    accelerator,
    commandPrefix: () => ports.commandPrefix(),
    runAs: plan.guestUser,
    cpus: hostCpus(options.cpuDedicatedSet),
  })
}

function dedicatedOf(set: string): number[] {
  const cpus = parseCpuSet(set)
  return "mistake" in cpus ? [] : cpus
}

/** What is set aside must be there, and leave something for the host itself and the others. */
function hostCpus(set: string): HostCpus {
  const dedicated = dedicatedOf(set)
  if (dedicated.length === 0) return { dedicated, shared: [] }
  const online = dedicatedOf(readFileSync("/sys/devices/system/cpu/online", "utf8").trim())
  const missing = dedicated.filter((cpu) => !online.includes(cpu))
  if (missing.length > 0)
    throw badConfig("agent.cpuDedicatedSet", `this machine has no processor ${missing.join(", ")}`)
  const shared = online.filter((cpu) => !dedicated.includes(cpu))
  if (shared.length === 0)
    throw badConfig("agent.cpuDedicatedSet", "leave one of this machine's processors out")
  return { dedicated, shared }
}
