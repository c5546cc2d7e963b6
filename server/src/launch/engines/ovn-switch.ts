// The settings of Open vSwitch on a host: who we are to OVN, the bridges, the ports to the outside. Repeatable;
// ports that the agent has plugged stay as they are.
import { existsSync } from "node:fs"
import { ownPublicBridge, ownPublicNetwork } from "../../platform/net/bridge-mappings.ts"
import {
  byUuid,
  type Operation,
  OvsdbClient,
  OvsdbUnavailable,
  type Row,
} from "../../platform/ovsdb/index.ts"
import { type ChassisOptions, integrationBridge, type OvnPaths, tunnelBridge } from "./ovn-paths.ts"
import { providerBridgePrefix, providersOf } from "./ovn-providers.ts"
import { readRecord, type Tunnel } from "./ovn-record.ts"

/** Of a connection to another host, which may end without a word. */
export const probeIntervalMs = 15_000

export async function configureSwitch(options: ChassisOptions): Promise<void> {
  const client = new OvsdbClient({
    socketPath: options.paths.switchSocket,
    database: "Open_vSwitch",
    tables: { Open_vSwitch: ["bridges", "external_ids", "other_config"], Bridge: ["name", "datapath_type"] },
  })
  try {
    await client.ready()
    const tunnel = readRecord(options.paths.recordFile)?.tunnel ?? null
    const [root] = client.table("Open_vSwitch").values()
    await client.transact(plan(options, tunnel, root, [...client.table("Bridge").values()]))
  } finally {
    await client.close()
  }
}

function plan(
  options: ChassisOptions,
  tunnel: Tunnel | null,
  root: Row | undefined,
  bridges: readonly Row[],
): Operation[] {
  const operations: Operation[] = []
  const externalIds = identity(options, tunnel)
  const target = root ? root._uuid : { named: "root" }
  if (!root) operations.push({ op: "insert", table: "Open_vSwitch", row: {}, name: "root" })
  operations.push({
    op: "mutate",
    table: "Open_vSwitch",
    where: byUuid(target),
    mutations: [
      ["external_ids", "deleteKeys", [...new Set([...Object.keys(externalIds), bridgeMappingsKey])]],
      ["external_ids", "insert", externalIds],
      // Few cores and few flows: the threads that it would start for each core cost memory and wake-ups.
      ["other_config", "deleteKeys", ["n-handler-threads", "n-revalidator-threads"]],
      ["other_config", "insert", { "n-handler-threads": "1", "n-revalidator-threads": "1" }],
    ],
  })
  const wanted = bridgesOf(options, tunnel)
  for (const [name, ports] of wanted) {
    if (bridges.some((bridge) => bridge.name === name)) continue
    operations.push(...insertBridge(options, name, ports, target))
  }
  for (const { name, _uuid } of bridges) {
    if (typeof name !== "string" || wanted.has(name) || !isOurs(name)) continue
    const mutations = [["bridges", "delete", [_uuid]]] as const
    operations.push({ op: "mutate", table: "Open_vSwitch", where: byUuid(target), mutations })
  }
  return operations
}

const isOurs = (bridge: string) =>
  [tunnelBridge, ownPublicBridge].includes(bridge) || bridge.startsWith(providerBridgePrefix)

/** In a host's settings, and in what it says of itself. */
export const bridgeMappingsKey = "ovn-bridge-mappings"

/** Who we are to OVN. */
function identity(options: ChassisOptions, tunnel: Tunnel | null): Record<string, string> {
  const { hostId, paths, isRelayed = false } = options
  const mappings = mappingsOf(options)
  return {
    "system-id": hostId,
    hostname: hostId,
    "ovn-remote": `unix:${paths.southboundSocket}`,
    "ovn-remote-probe-interval": isRelayed ? String(probeIntervalMs) : "0",
    "ovn-encap-type": tunnel?.type ?? "geneve",
    "ovn-encap-ip": tunnel?.address ?? "127.0.0.1",
    "ovn-bridge": integrationBridge,
    "ovn-bridge-datapath-type": options.datapathType,
    ...(mappings === "" ? {} : { [bridgeMappingsKey]: mappings }),
    // A host that has every row asks for none when a port comes: choosing rows costs a round trip each time.
    "ovn-monitor-all": "true",
  }
}

/** The switch's bridges by physical network, as OVN wants them: `public:br-ex,…`. */
function mappingsOf({ paths, isPublic, bridgeMappings = {} }: ChassisOptions): string {
  const providers = providersOf(paths, bridgeMappings)
  return [
    ...(isPublic ? [`${ownPublicNetwork}:${ownPublicBridge}`] : []),
    ...providers.map(({ physicalNetwork, switchBridge }) => `${physicalNetwork}:${switchBridge}`),
  ].join(",")
}

/** With the links that are their ports. */
function bridgesOf(options: ChassisOptions, tunnel: Tunnel | null): Map<string, string[]> {
  const { paths, isPublic, bridgeMappings = {} } = options
  const bridges = new Map<string, string[]>([[integrationBridge, []]])
  if (isPublic) bridges.set(ownPublicBridge, [paths.bridgeLink])
  for (const { switchBridge, inner } of providersOf(paths, bridgeMappings)) bridges.set(switchBridge, [inner])
  if (tunnel?.datapathType === "netdev") bridges.set(tunnelBridge, [paths.tunnelPeer])
  return bridges
}

function insertBridge(
  options: ChassisOptions,
  name: string,
  links: readonly string[],
  root: string | { named: string },
): Operation[] {
  const operations: Operation[] = []
  const portNames = [name, ...links]
  const label = (kind: string, port: string) => `${kind}_${port.replaceAll("-", "_")}`
  for (const port of portNames) {
    const type = port === name ? "internal" : ""
    operations.push(
      { op: "insert", table: "Interface", row: { name: port, type }, name: label("interface", port) },
      {
        op: "insert",
        table: "Port",
        row: { name: port, interfaces: [{ named: label("interface", port) }] },
        name: label("port", port),
      },
    )
  }
  // Only OVN's flows decide on br-int; the others are ordinary switches between the cloud and the host.
  const isIntegration = name === integrationBridge
  operations.push(
    {
      op: "insert",
      table: "Bridge",
      name: label("bridge", name),
      row: {
        name,
        datapath_type: options.datapathType === "netdev" ? "netdev" : "",
        fail_mode: [isIntegration ? "secure" : "standalone"],
        other_config: isIntegration ? { "disable-in-band": "true" } : {},
        ports: portNames.map((port) => ({ named: label("port", port) })),
      },
    },
    {
      op: "mutate",
      table: "Open_vSwitch",
      where: byUuid(root),
      mutations: [["bridges", "insert", [{ named: label("bridge", name) }]]],
    },
  )
  return operations
}

/** Takes a link off its bridge, if Open vSwitch runs: it would keep hold of the device that is gone. */
export async function detachLink(paths: OvnPaths, bridgeName: string, link: string): Promise<void> {
  await withBridge(paths, bridgeName, async (client, bridge) => {
    const port = [...client.table("Port").values()].find((row) => row.name === link)
    if (!port) return
    const mutations = [["ports", "delete", [port._uuid]]] as const
    await client.transact([{ op: "mutate", table: "Bridge", where: byUuid(bridge._uuid), mutations }])
  })
}

export async function attachLink(paths: OvnPaths, bridgeName: string, name: string): Promise<void> {
  await withBridge(paths, bridgeName, async (client, bridge) => {
    if ([...client.table("Port").values()].some((row) => row.name === name)) return
    await client.transact([
      { op: "insert", table: "Interface", row: { name }, name: "interface" },
      { op: "insert", table: "Port", row: { name, interfaces: [{ named: "interface" }] }, name: "port" },
      {
        op: "mutate",
        table: "Bridge",
        where: byUuid(bridge._uuid),
        mutations: [["ports", "insert", [{ named: "port" }]]],
      },
    ])
  })
}

const settleMs = 2_000

async function withBridge(
  paths: OvnPaths,
  name: string,
  work: (client: OvsdbClient, bridge: Row) => Promise<void>,
): Promise<void> {
  if (!existsSync(paths.switchSocket)) return
  const client = new OvsdbClient({
    socketPath: paths.switchSocket,
    database: "Open_vSwitch",
    tables: { Bridge: ["name", "ports"], Port: ["name"] },
  })
  try {
    await client.ready(settleMs)
    const bridge = [...client.table("Bridge").values()].find((row) => row.name === name)
    if (bridge) await work(client, bridge)
  } catch (error) {
    // A socket that a dead server left: the next ovs-vswitchd opens the new device by itself.
    if (!(error instanceof OvsdbUnavailable)) throw error
  } finally {
    await client.close()
  }
}
