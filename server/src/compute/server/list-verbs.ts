import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"
import { type ServerList, type ServerListOptions, selectServers } from "./list.ts"

interface ListInput extends ServerListOptions {
  /** Names the rule: the list with ids only and the one with details have their own. */
  isDetail: boolean
}

/** The servers of the caller's project, or of any for those who may. */
export const listServers = operation({
  name: "compute.server.list",
  // The filter is made by the wire from checked parameters; a second check of each list would cost more than the list.
  input: Type.Unsafe<ListInput>(Type.Object({})),
  faults: [badRequest],
  authorize: (ctx, input) => {
    const view = input.isDetail ? "detail" : "index"
    const target = { project_id: ctx.caller.projectId, user_id: ctx.caller.userId }
    return input.filter.projectId === ctx.caller.projectId && ctx.caller.projectId !== null
      ? [[`os_compute_api:servers:${view}`, target]]
      : [
          [`os_compute_api:servers:${view}`, target],
          [`os_compute_api:servers:${view}:get_all_tenants`, target],
        ]
  },
  run: (ctx, input): Promise<ServerList> => selectServers(ctx, input),
})
