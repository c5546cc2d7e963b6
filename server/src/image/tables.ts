import type { ColumnType, Generated } from "kysely"
import type { ProcessIdentity } from "../platform/exec/process.ts"
import type { ImageStatus, Visibility } from "./image/image.ts"
import type { MemberStatus } from "./member/member.ts"
import type { ItemKind } from "./metadef-item/item.ts"
import type { TaskStatus, TaskType } from "./task/task.ts"

type Timestamp = ColumnType<Date, Date | string, Date | string>
/** Written as JSON text (`jsonb()`), read as the value. */
type Json<T> = ColumnType<T, T | string, T | string>

export interface ImageTable {
  id: string
  project_id: string | null
  name: string | null
  status: ImageStatus
  visibility: Visibility
  disk_format: string | null
  container_format: string | null
  size_bytes: number | null
  virtual_size_bytes: number | null
  min_disk_gib: Generated<number>
  min_ram_mib: Generated<number>
  is_protected: Generated<boolean>
  is_hidden: Generated<boolean>
  checksum: string | null
  os_hash_algo: string | null
  os_hash_value: string | null
  properties: ColumnType<Record<string, string>, string, string>
  tags: Generated<string[]>
  content_problem: string | null
  data_file: string | null
  staged_file: string | null
  transfer_id: string | null
  transfer_host: string | null
  transfer_process: Json<ProcessIdentity> | null
  transfer_seen_at: Timestamp | null
  generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface MemberTable {
  image_id: string
  member_id: string
  status: MemberStatus
  created_at: Timestamp
  updated_at: Timestamp
}

export interface TaskTable {
  id: string
  type: TaskType
  status: TaskStatus
  project_id: string | null
  user_id: string | null
  request_id: string | null
  image_id: string | null
  input: Json<Record<string, unknown>>
  result: Json<Record<string, unknown>> | null
  message: Generated<string>
  generation: Generated<number>
  expires_at: Timestamp | null
  created_at: Timestamp
  updated_at: Timestamp
}

export interface MetadefNamespaceTable {
  id: string
  name: string
  display_name: string | null
  description: string | null
  visibility: "public" | "private"
  is_protected: boolean
  project_id: string | null
  created_at: Timestamp
  updated_at: Timestamp
}

export interface MetadefItemTable {
  namespace_id: string
  kind: ItemKind
  name: string
  definition: ColumnType<Record<string, unknown>, string, string>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface MetadefResourceTypeTable {
  name: string
  created_at: ColumnType<Date, Date | undefined, Date>
  updated_at: ColumnType<Date, Date | undefined, Date>
}

export interface MetadefAssociationTable {
  namespace_id: string
  resource_type: string
  prefix: string | null
  properties_target: string | null
  created_at: Timestamp
  updated_at: Timestamp
}

declare module "../platform/db/database.ts" {
  interface Database {
    "image.image": ImageTable
    "image.member": MemberTable
    "image.task": TaskTable
    "image.metadef_namespace": MetadefNamespaceTable
    "image.metadef_item": MetadefItemTable
    "image.metadef_resource_type": MetadefResourceTypeTable
    "image.metadef_association": MetadefAssociationTable
  }
}
