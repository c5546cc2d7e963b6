// Who looks, as SQL needs to know it: administrators and services see everything, others what is theirs or shared.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { can } from "../../platform/policy/can.ts"

export interface Viewer {
  projectId: string | null
  seesAll: boolean
}

/** Who sees every project's; what is done with it the rules of the operations decide. */
const seeingRules = [
  "network:context_is_admin",
  "network:service_api",
  "context_is_advsvc",
  "context_with_global_access",
]

export function viewerOf(ctx: Ctx): Viewer {
  return { projectId: ctx.caller.projectId, seesAll: seeingRules.some((rule) => can(ctx, rule)) }
}

/** For the program's own reads. */
export const everything: Viewer = { projectId: null, seesAll: true }

/** Whether an RBAC policy gives the thing to the viewer's project (or to all). */
export function sharedWith(
  viewer: Viewer,
  objectType: string,
  objectId: RawBuilder<unknown>,
  actions?: readonly string[],
): RawBuilder<boolean> {
  return sql<boolean>`exists (select from network.rbac_policy r where r.object_id = ${objectId}
    and ${grants(viewer, objectType, actions)})`
}

/** A query for the ids of all that is shared with the viewer's project. */
export function sharedIds(
  viewer: Viewer,
  objectType: string,
  actions?: readonly string[],
): RawBuilder<unknown> {
  return sql`select r.object_id from network.rbac_policy r where ${grants(viewer, objectType, actions)}`
}

function grants(
  viewer: Viewer,
  objectType: string,
  actions: readonly string[] = ["access_as_shared"],
): RawBuilder<boolean> {
  return sql<boolean>`r.object_type = ${sql.lit(objectType)}
    and r.action in (${sql.join(actions.map((a) => sql.lit(a)))})
    and r.target_project in ('*', ${viewer.projectId ?? "*"})`
}
