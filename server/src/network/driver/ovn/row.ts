// A row that shall stand in OVN's northbound database, known by a key of ours instead of its uuid. It belongs to one
// thing of the network's (its owner) and says itself in which rows of others it is listed, so that a thing can be
// brought in and taken away without its neighbours.
import type { WriteValue } from "../../../platform/ovsdb/index.ts"
import type { Told } from "../network-driver.ts"

interface ManagedTable {
  /** A row of the others goes by itself once no other row lists it. */
  isRoot: boolean
  /** Columns that list other rows. */
  lists: readonly string[]
  /** Columns that point at one row. */
  refs: readonly string[]
}

export const managedTables = {
  Logical_Switch: { isRoot: true, lists: ["ports", "dns_records", "qos_rules", "load_balancer"], refs: [] },
  Logical_Switch_Port: { isRoot: false, lists: [], refs: ["dhcpv4_options", "dhcpv6_options"] },
  Logical_Router: { isRoot: true, lists: ["ports", "nat", "static_routes", "load_balancer"], refs: [] },
  Logical_Router_Port: { isRoot: false, lists: ["gateway_chassis"], refs: ["ha_chassis_group"] },
  // Of an earlier program: it named the hosts at each router.
  Gateway_Chassis: { isRoot: false, lists: [], refs: [] },
  HA_Chassis_Group: { isRoot: true, lists: ["ha_chassis"], refs: [] },
  HA_Chassis: { isRoot: false, lists: [], refs: [] },
  Logical_Router_Static_Route: { isRoot: false, lists: [], refs: [] },
  NAT: { isRoot: false, lists: [], refs: [] },
  QoS: { isRoot: false, lists: [], refs: [] },
  Load_Balancer: { isRoot: true, lists: [], refs: [] },
  DHCP_Options: { isRoot: true, lists: [], refs: [] },
  Port_Group: { isRoot: true, lists: ["acls", "ports"], refs: [] },
  ACL: { isRoot: false, lists: [], refs: [] },
  DNS: { isRoot: true, lists: [], refs: [] },
} as const satisfies Record<string, ManagedTable>

export type TableName = keyof typeof managedTables
export const tableNames = Object.keys(managedTables) as TableName[] // keys of a literal

export interface RowKey {
  table: TableName
  id: string
}

export interface DesiredRow extends RowKey {
  /** Of `ownerOf`. */
  owner: string
  columns: Readonly<Record<string, WriteValue>>
  /** Rows that list this one. */
  places?: readonly (RowKey & { column: string })[]
  /** Columns that point at one row, by its id; null for none. */
  refs?: Readonly<Record<string, RowKey | null>>
  externalIds?: Readonly<Record<string, string>>
}

/** The thing that a row is there for, as its external_ids have it. */
export function ownerOf(noun: keyof Told | "cloud" | "names", id: string): string {
  return `${noun}:${id}`
}

export const idKey = "kumoi:id"
export const cloudKey = "kumoi:cloud"
export const ownerKey = "kumoi:owner"
/** Of a port: its network, and the names in it that are its own. */
export const namesKey = "kumoi:names"
