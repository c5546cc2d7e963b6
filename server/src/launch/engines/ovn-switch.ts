// The settings of Open vSwitch on a host: who we are to OVN, the two bridges, the port to the outside. Repeatable;
// ports that the agent has plugged stay as they are.
import { byUuid, type Operation, OvsdbClient, type Row } from "../../platform/ovsdb/index.ts"
import type { OvnEngineOptions } from "./ovn.ts"
import { externalBridge, integrationBridge } from "./ovn-paths.ts"

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
