// The settings of Open vSwitch on a host: who we are to OVN, the two bridges, the port to the outside. Repeatable;
// ports that the agent has plugged stay as they are.
import { existsSync } from "node:fs"
import {
  byUuid,
  type Operation,
  OvsdbClient,
  OvsdbUnavailable,
  type Row,
} from "../../platform/ovsdb/index.ts"
import { externalBridge, integrationBridge, type OvnEngineOptions, type OvnPaths } from "./ovn-paths.ts"

export async function configureSwitch(options: OvnEngineOptions): Promise<void> {
  const client = new OvsdbClient({
    socketPath: options.paths.switchSocket,
    database: "Open_vSwitch",
    tables: { Open_vSwitch: ["bridges", "external_ids", "other_config"], Bridge: ["name", "datapath_type"] },
  })
  try {
    await client.ready()
    const operations = plan(
      options,
      [...client.table("Open_vSwitch").values()],
      [...client.table("Bridge").values()],
    )
    await client.transact(operations)
  } finally {
    await client.close()
  }
}

function plan(options: OvnEngineOptions, roots: readonly Row[], bridges: readonly Row[]): Operation[] {
  const operations: Operation[] = []
  const externalIds = {
    "system-id": options.hostId,
    hostname: options.hostId,
    "ovn-remote": `unix:${options.paths.southboundSocket}`,
    "ovn-encap-type": "geneve",
    "ovn-encap-ip": "127.0.0.1",
    "ovn-bridge": integrationBridge,
    "ovn-bridge-datapath-type": options.datapathType,
    "ovn-bridge-mappings": `${options.physicalNetwork}:${externalBridge}`,
    // One host knows every port anyway; choosing rows costs a round trip at each new port.
    "ovn-monitor-all": "true",
  }
  const root = roots[0]
  const target = root ? root._uuid : { named: "root" }
  if (!root) operations.push({ op: "insert", table: "Open_vSwitch", row: {}, name: "root" })
  operations.push({
    op: "mutate",
    table: "Open_vSwitch",
    where: byUuid(target),
    mutations: [
      ["external_ids", "deleteKeys", Object.keys(externalIds)],
      ["external_ids", "insert", externalIds],
      // Few cores and few flows: the threads that it would start for each core cost memory and wake-ups.
      ["other_config", "deleteKeys", ["n-handler-threads", "n-revalidator-threads"]],
      ["other_config", "insert", { "n-handler-threads": "1", "n-revalidator-threads": "1" }],
    ],
  })
  for (const [name, ports] of [
    [integrationBridge, []],
    [externalBridge, [options.paths.bridgeLink]],
  ] as const) {
    if (bridges.some((bridge) => bridge.name === name)) continue
    operations.push(...insertBridge(options, name, ports, target))
  }
  return operations
}

function insertBridge(
  options: OvnEngineOptions,
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
  // Only OVN's flows decide on br-int; br-ex is an ordinary switch between the cloud and the host.
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

/** Takes the host's link off the external bridge, if Open vSwitch runs: it would keep hold of the device that is gone. */
export async function detachLink(paths: OvnPaths): Promise<void> {
  await withBridge(paths, async (client, bridge) => {
    const port = [...client.table("Port").values()].find((row) => row.name === paths.bridgeLink)
    if (!port) return
    const mutations = [["ports", "delete", [port._uuid]]] as const
    await client.transact([{ op: "mutate", table: "Bridge", where: byUuid(bridge._uuid), mutations }])
  })
}

export async function attachLink(paths: OvnPaths): Promise<void> {
  await withBridge(paths, async (client, bridge) => {
    const name = paths.bridgeLink
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
    const bridge = [...client.table("Bridge").values()].find((row) => row.name === externalBridge)
    if (bridge) await work(client, bridge)
  } catch (error) {
    // A socket that a dead server left: the next ovs-vswitchd opens the new device by itself.
    if (!(error instanceof OvsdbUnavailable)) throw error
  } finally {
    await client.close()
  }
}
