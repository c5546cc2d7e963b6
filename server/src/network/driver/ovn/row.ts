// A row that shall stand in OVN's northbound database, known by a key of ours instead of its uuid.
import type { WriteValue } from "../../../platform/ovsdb/index.ts"

export const managedTables = {
  Logical_Switch: { isRoot: true, refs: ["ports", "dns_records"] },
  Logical_Switch_Port: { isRoot: false, refs: ["dhcpv4_options", "dhcpv6_options"] },
  Logical_Router: { isRoot: true, refs: ["ports", "nat", "static_routes"] },
  Logical_Router_Port: { isRoot: false, refs: ["gateway_chassis"] },
  Gateway_Chassis: { isRoot: false, refs: [] },
  Logical_Router_Static_Route: { isRoot: false, refs: [] },
  NAT: { isRoot: false, refs: [] },
  DHCP_Options: { isRoot: true, refs: [] },
  Port_Group: { isRoot: true, refs: ["ports", "acls"] },
  ACL: { isRoot: false, refs: [] },
  DNS: { isRoot: true, refs: [] },
} as const satisfies Record<string, { isRoot: boolean; refs: readonly string[] }>

export type TableName = keyof typeof managedTables
export const tableNames = Object.keys(managedTables) as TableName[] // keys of a literal

export interface DesiredRow {
  table: TableName
  /** Unique within the table; stored as external_ids "kumoi:id". */
  id: string
  columns: Readonly<Record<string, WriteValue>>
  /** Reference columns, by the ids of the rows that they point at. */
  refs?: Readonly<Record<string, { table: TableName; ids: readonly string[] }>>
  externalIds?: Readonly<Record<string, string>>
}

export const idKey = "kumoi:id"
export const cloudKey = "kumoi:cloud"
