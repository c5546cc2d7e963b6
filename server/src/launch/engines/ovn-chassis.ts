// What hosts say of themselves in the southbound database.
import { OvsdbClient } from "../../platform/ovsdb/index.ts"
import type { OvnPaths } from "./ovn-paths.ts"
import { bridgeMappingsKey } from "./ovn-switch.ts"

/** By the host's bridge mappings (`public:br-ex,…`); null: it has no part in the network. */
export async function physicalNetworksOf(paths: OvnPaths, host: string): Promise<string[] | null> {
  const client = new OvsdbClient({
    socketPath: paths.southboundSocket,
    database: "OVN_Southbound",
    tables: { Chassis: ["name", "other_config"] },
  })
  try {
    await client.ready()
    const chassis = [...client.table("Chassis").values()].find(({ name }) => name === host)
    if (!chassis) return null
    // A map of texts.
    const config = chassis.other_config as Readonly<Record<string, unknown>>
    const mappings = String(config[bridgeMappingsKey] ?? "")
    return mappings.split(",").flatMap((mapping) => mapping.split(":")[0] || [])
  } finally {
    await client.close()
  }
}
