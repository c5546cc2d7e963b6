// What the columns hold, where the database knows less: shapes of jsonb. tables.ts is generated with it.
interface Route {
  destination: string
  nexthop: string
}

export interface Columns {
  "agent.bridge_mappings": Record<string, string> | null
  "subnet.host_routes": Route[]
  "router.routes": Route[]
  "port.binding_profile": Record<string, unknown>
  "port.allowed_address_pairs": { ipAddress: string; macAddress: string }[]
  "port.extra_dhcp_options": { name: string; value: string; ipVersion: 4 | 6 }[]
}
