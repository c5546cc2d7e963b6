import type { Selectable } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { namespaceNotFound } from "../faults.ts"
import type { MetadefNamespaceTable } from "../tables.ts"
import type { Namespace } from "./metadef.ts"

export type NamespaceRow = Selectable<MetadefNamespaceTable>

export function toNamespace(row: NamespaceRow): Namespace {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    description: row.description,
    visibility: row.visibility,
    isProtected: row.is_protected,
    projectId: row.project_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

export function namespaceTarget(namespace: Namespace): PolicyTarget {
  return { project_id: namespace.projectId, visibility: namespace.visibility }
}

/** The namespace if the caller may see it. */
export async function visibleNamespace(ctx: Ctx, name: string): Promise<Namespace> {
  const row = name.includes("\0")
    ? undefined
    : await ctx.db
        .selectFrom("image.metadef_namespace")
        .selectAll()
        .where("name", "=", name)
        .executeTakeFirst()
  const namespace = row && toNamespace(row)
  const isSeen =
    namespace && ctx.policy.isAllowed(ctx.caller, "get_metadef_namespace", namespaceTarget(namespace))
  if (!namespace || !isSeen) throw namespaceNotFound(name)
  return namespace
}
