// What the columns hold, where the database knows less: shapes of jsonb. tables.ts is generated with it.
import type { HostDescription } from "../agent/protocol.ts"
import type { NetworksRequest, PlannedServerPorts } from "../network/index.ts"
import type { BlockDevice, FlavorSnapshot, ServerFault } from "./server/server.ts"

export interface Columns {
  "server.fault": ServerFault
  "server.flavor": FlavorSnapshot
  "server.old_flavor": FlavorSnapshot
  "server.metadata": Record<string, string>
  "server.system_metadata": Record<string, string>
  "server.security_groups": string[]
  "server.requested_networks": PlannedServerPorts | Exclude<NetworksRequest, null>
  "server.scheduler_hints": Record<string, unknown>
  "server.trusted_image_certificates": string[]
  "server.block_devices": BlockDevice[]
  "host.description": HostDescription
  "aggregate.metadata": Record<string, string>
  "flavor.extra_specs": Record<string, string>
}
