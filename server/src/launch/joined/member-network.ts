// A joined host's part of the network: its own switch and controller, told what to do by the cloud's southbound
// database through the door, a tunnel to every other host, and the proxy through which its guests ask for their
// metadata.
import { join } from "node:path"
import type { HostNetwork } from "../../agent/door-protocol.ts"
import { MetadataProxy, shareWithProxy } from "../../agent/metadata/metadata-proxy.ts"
import { OvnPlugger } from "../../agent/ports/ovn-plugger.ts"
import type { AgentParts } from "../../agent-role.ts"
import type { Logger } from "../../platform/log/log.ts"
import { type BridgeMappings, ownPublicBridge, ownPublicNetwork } from "../../platform/net/bridge-mappings.ts"
import type { Supervisor } from "../../platform/supervise/supervisor.ts"
import type { CloudDir } from "../cloud-dir.ts"
import { metadataProxyEngine } from "../engines/haproxy-metadata.ts"
import { chassisEngines, retellChassis } from "../engines/ovn.ts"
import { answers } from "../engines/ovn-daemon.ts"
import { setUpNetworkHost } from "../engines/ovn-host.ts"
import { integrationBridge } from "../engines/ovn-paths.ts"
import { probeDatapath } from "../engines/ovn-probe.ts"
import { relaySouthbound } from "../engines/ovn-southbound-relay.ts"
import type { StartPlan } from "../plan.ts"
import type { DoorClient } from "./door-client.ts"
import { type Membership, memberFiles } from "./membership.ts"
import { relayMetadata } from "./metadata-relay.ts"

export interface MemberNetworkOptions {
  network: HostNetwork
  membership: Membership
  dir: CloudDir
  supervisor: Supervisor
  client: DoorClient
  plan: StartPlan
  storageNetworks: readonly string[]
  /** When the network is set up, before its controller looks for the southbound database. */
  beforeRelay: () => Promise<void>
  log: Logger
}

export interface MemberNetworkParts extends Pick<AgentParts, "ports" | "metadata" | "network"> {
  /** From now on it reaches physical networks by these bridges; its guests run on. */
  mapBridges(mappings: BridgeMappings): Promise<void>
}

export async function joinNetwork(
  options: MemberNetworkOptions,
  stack: AsyncDisposableStack,
): Promise<MemberNetworkParts> {
  const { network, membership, dir, supervisor, client, plan, log } = options
  const { tunnelType: type, tenantMtu, publicAddress } = network
  const { isPublic = false } = membership
  let { bridgeMappings = {} } = membership
  const datapathType = await probeDatapath()
  const host = {
    id: dir.facts.cloudId,
    publicAddresses: isPublic ? [publicAddress] : [],
    tunnel: { address: membership.address, type, datapathType, tenantMtu },
    storageNetworks: options.storageNetworks,
    log,
  }
  const paths = await setUpNetworkHost({ ...host, bridgeMappings })
  await options.beforeRelay()
  const chassis = {
    paths,
    databaseDir: join(dir.path, "ovn"),
    logDir: dir.logDir,
    hostId: membership.name,
    isPublic,
    datapathType,
    isRelayed: true,
  }
  const engines = chassisEngines({
    ...chassis,
    // Also of a database that is started anew.
    get bridgeMappings() {
      return bridgeMappings
    },
  })
  const dial = () => client.openSouthbound()
  const tls = memberFiles(dir.path)
  stack.use(await relaySouthbound({ socketPath: paths.southboundSocket, dial, tls, log }))
  // Before the relay: when it stops it tells the database that the host is gone.
  stack.defer(async () => await supervisor.stop("ovn-controller"))
  for (const engine of engines) await supervisor.start(engine)
  stack.use(await relayMetadata(client, { socketPath: paths.metadataSocket, log }))
  await shareWithProxy(paths.metadataSocket)
  await supervisor.start(metadataProxyEngine({ paths, logDir: dir.logDir }))
  const names = new Set(engines.map(({ name }) => name))
  const common = { switchSocket: paths.switchSocket, integrationBridge, netns: paths.netns }
  return {
    ports: new OvnPlugger({
      ...common,
      netnsFile: paths.netnsFile,
      ...(plan.guestUser ? { ownerUid: plan.guestUser.uid } : {}),
    }),
    metadata: new MetadataProxy({
      ...common,
      metadataSocket: paths.metadataSocket,
      proxyDir: paths.proxyDir,
    }),
    mapBridges: async (mappings) => {
      await setUpNetworkHost({ ...host, bridgeMappings: mappings })
      bridgeMappings = mappings
      await retellChassis({ ...chassis, bridgeMappings })
    },
    network: {
      get bridgeMappings() {
        return { ...(isPublic && { [ownPublicNetwork]: ownPublicBridge }), ...bridgeMappings }
      },
      problem: async () => {
        const ill = supervisor.status().filter(({ name, state }) => names.has(name) && state !== "running")
        if (ill.length > 0) return `${ill.map(({ name, state }) => `${name} is ${state}`).join(", ")}`
        const isConnected = await answers(paths, "ovn-controller", "connection-status", /^connected/)
        return isConnected ? null : "ovn-controller is not connected to the southbound database"
      },
    },
  }
}
