// What hosts say of themselves in the southbound database, compared with what the cloud knows of them. OVN's role lets
// a host write the address of its own tunnels, and says nothing of which: an address that another host is to have would
// keep that one out, as no two are equal. And it lets any host write where a port is.
import { byUuid, type Operation, OvsdbClient, type Row } from "../../platform/ovsdb/index.ts"
import type { OvnPaths } from "./ovn-paths.ts"

export interface ChassisFindings {
  /** Addresses of tunnels that were not their hosts', and are now. */
  addresses: { host: string; said: string; own: string }[]
  /** Ports that are said to be with another host than the cloud's rows say, at this look and the one before. */
  ports: { portId: string; said: string; own: string }[]
}

export class ChassisWatch implements AsyncDisposable {
  readonly #paths: OvnPaths
  /** By port: what was said of those that were elsewhere when we last looked; a port that moves is so for a moment. */
  #elsewhere = new Map<string, string>()
  #client: OvsdbClient | undefined

  constructor(paths: OvnPaths) {
    this.#paths = paths
  }

  /** By the hosts' addresses, which the cloud has from their joins; corrects the tunnels'. */
  async compare(addresses: ReadonlyMap<string, string>): Promise<ChassisFindings> {
    // Follows the tables from then on: reading all ports at each look would cost.
    this.#client ??= new OvsdbClient({
      socketPath: this.#paths.southboundSocket,
      database: "OVN_Southbound",
      tables: {
        Chassis: ["name", "encaps"],
        Encap: ["type", "ip", "chassis_name"],
        Port_Binding: ["logical_port", "type", "chassis", "requested_chassis"],
      },
    })
    const client = this.#client
    await client.ready()
    const found = encapFindings(client, addresses)
    if (found.operations.length > 0) await client.transact(found.operations)
    return { addresses: found.addresses, ports: this.#portFindings(client) }
  }

  #portFindings(client: OvsdbClient): ChassisFindings["ports"] {
    const chassis = client.table("Chassis")
    const nameOf = (value: unknown) =>
      Array.isArray(value) ? chassis.get(String(value[0]))?.name : undefined
    const all = [...client.table("Port_Binding").values()].flatMap((row) => {
      const [said, own] = [nameOf(row.chassis), nameOf(row.requested_chassis)]
      if (row.type !== "" || said === undefined || own === undefined || said === own) return []
      return [{ portId: String(row.logical_port), said: String(said), own: String(own) }]
    })
    const before = this.#elsewhere
    this.#elsewhere = new Map(all.map(({ portId, said }) => [portId, said]))
    return all.filter(({ portId, said }) => before.get(portId) === said)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close()
  }
}

/** In one transaction, as one host may have said another's. */
function encapFindings(
  client: OvsdbClient,
  addresses: ReadonlyMap<string, string>,
): { addresses: ChassisFindings["addresses"]; operations: Operation[] } {
  const found: ChassisFindings["addresses"] = []
  const operations: Operation[] = []
  const encaps = client.table("Encap")
  for (const { name, encaps: ids, _uuid } of client.table("Chassis").values()) {
    const own = addresses.get(String(name))
    if (own === undefined) continue
    const rows = (Array.isArray(ids) ? ids : []).flatMap((id): readonly Row[] => {
      const row = encaps.get(String(id))
      return row ? [row] : []
    })
    const wrong = rows.filter(({ ip }) => ip !== own)
    found.push(...wrong.map(({ ip }) => ({ host: String(name), said: String(ip), own })))
    const [first, ...more] = wrong
    // A chassis keeps one at least.
    const isLost = first !== undefined && wrong.length === rows.length
    if (isLost)
      operations.push({ op: "update", table: "Encap", where: byUuid(first._uuid), row: { ip: own } })
    const gone = (isLost ? more : wrong).map((row) => row._uuid)
    if (gone.length === 0) continue
    const mutations = [["encaps", "delete", gone]] as const
    operations.push({ op: "mutate", table: "Chassis", where: byUuid(_uuid), mutations })
  }
  return { addresses: found, operations }
}
