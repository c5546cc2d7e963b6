// What the columns hold, where the database knows less: shapes of jsonb, words. tables.ts is generated with it.
import type { ProcessIdentity } from "../platform/exec/process.ts"
import type { ImageStatus, Visibility } from "./image/image.ts"
import type { MemberStatus } from "./member/member.ts"
import type { ItemKind } from "./metadef-item/item.ts"
import type { Namespace } from "./metadef-namespace/namespace.ts"
import type { TaskStatus, TaskType } from "./task/task.ts"

export interface Columns {
  "image.status": ImageStatus
  "image.visibility": Visibility
  "image.properties": Record<string, string>
  "image.transfer_process": ProcessIdentity
  "location.metadata": Record<string, unknown>
  "member.status": MemberStatus
  "task.type": TaskType
  "task.status": TaskStatus
  "task.input": Record<string, unknown>
  "task.result": Record<string, unknown>
  "metadef_namespace.visibility": Namespace["visibility"]
  "metadef_item.kind": ItemKind
  "metadef_item.definition": Record<string, unknown>
}
