// Table types of server/schema/compute/0001_servers.sql.
import type { ColumnType, Generated } from "kysely"
import type { HostDescription } from "../agent/protocol.ts"
import type { PlannedServerPorts } from "../network/index.ts"
import type { BlockDevice, FlavorSnapshot, ServerFault } from "./server/server.ts"

type Timestamp = ColumnType<Date, Date | string, Date | string>
/** Filled by the database when it is left out. */
type TimestampNow = ColumnType<Date, Date | string | undefined, Date | string>
type NullableTimestamp = ColumnType<Date | null, Date | string | null, Date | string | null>
/** Written with `jsonb()`. */
type Json<T> = ColumnType<T, T, T>

export interface ServerTable {
  id: string
  number: Generated<number>
  project_id: string
  user_id: string
  generation: Generated<number>
  finished_generation: Generated<number>
  name: string
  description: string | null
  hostname: string
  vm_state: string
  task_state: string | null
  power_state: Generated<number>
  progress: Generated<number>
  fault: Json<ServerFault | null>
  host: string | null
  availability_zone: string | null
  pinned_availability_zone: string | null
  image_id: string | null
  flavor: Json<FlavorSnapshot>
  flavor_id: string
  old_flavor: Json<FlavorSnapshot | null>
  old_host: string | null
  vcpus: number
  ram_mib: number
  metadata: Json<Record<string, string>>
  system_metadata: Json<Record<string, string>>
  tags: string[]
  key_name: string | null
  key_type: string | null
  public_key: string | null
  user_data: string | null
  has_config_drive: boolean
  has_auto_disk_config: boolean
  root_device_name: string | null
  kernel_id: string | null
  ramdisk_id: string | null
  access_ip_v4: string | null
  access_ip_v6: string | null
  security_groups: Json<string[]>
  requested_networks: Json<PlannedServerPorts | null>
  scheduler_hints: Json<Record<string, unknown>>
  server_group_id: string | null
  trusted_image_certificates: Json<string[] | null>
  block_devices: Json<BlockDevice[]>
  reservation_id: string
  launch_index: number
  locked_by: string | null
  locked_reason: string | null
  created_at: TimestampNow
  updated_at: TimestampNow
  launched_at: NullableTimestamp
  terminated_at: NullableTimestamp
  deleted_at: NullableTimestamp
  guest_password: string | null
  resize_vcpus: number | null
  resize_ram_mib: number | null
}

export interface ServerActionTable {
  id: Generated<number>
  server_id: string
  action: string
  request_id: string
  user_id: string | null
  project_id: string | null
  message: string | null
  started_at: TimestampNow
  finished_at: NullableTimestamp
  updated_at: TimestampNow
}

export interface ServerActionEventTable {
  id: Generated<number>
  action_id: number
  event: string
  host: string | null
  started_at: TimestampNow
  finished_at: NullableTimestamp
  result: string | null
  details: string | null
  traceback: string | null
}

export interface HostTable {
  name: string
  id: string
  service_id: string
  number: Generated<number>
  description: Json<HostDescription>
  last_seen_at: Timestamp
  is_disabled: Generated<boolean>
  disabled_reason: string | null
  is_forced_down: Generated<boolean>
  created_at: TimestampNow
  updated_at: TimestampNow
}

export interface ControlServiceTable {
  host: string
  binary_name: string
  id: string
  number: Generated<number>
  last_seen_at: TimestampNow
  created_at: TimestampNow
}

export interface AdminPasswordTable {
  server_id: string
  sealed: string
  made_at: TimestampNow
}

declare module "../platform/db/database.ts" {
  interface Database {
    "compute.admin_password": AdminPasswordTable
    "compute.control_service": ControlServiceTable
    "compute.server": ServerTable
    "compute.server_action": ServerActionTable
    "compute.server_action_event": ServerActionEventTable
    "compute.host": HostTable
  }
}
