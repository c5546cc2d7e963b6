// Who looks, as the nouns of this service need to know it: administrators see every project's, others their own.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../platform/context/context.ts"
import { type Visible, visibleToAll } from "../platform/noun/noun.ts"
import { can } from "../platform/policy/can.ts"

export interface Viewer {
  projectId: string | null
  seesAll: boolean
}

/** Cinder's `is_admin`. */
export function isAdmin(ctx: Ctx): boolean {
  return can(ctx, "block_storage:context_is_admin")
}

export function viewerOf(ctx: Ctx): Viewer {
  return { projectId: ctx.caller.projectId, seesAll: isAdmin(ctx) }
}

/** For the program's own reads. */
export const everything: Viewer = { projectId: null, seesAll: true }

export function visibleTo({ projectId, seesAll }: Viewer, owner: RawBuilder<unknown>): Visible {
  if (seesAll) return visibleToAll
  const own = sql<boolean>`${owner} = ${projectId}`
  return { row: own, main: own, others: [] }
}

/** What rules are asked about. */
export const targetOf = ({ projectId }: { projectId: string }) => ({ project_id: projectId })
