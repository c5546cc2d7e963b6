import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"
import { type ServerList, type ServerListOptions, selectServers } from "./list.ts"

/** The servers of the caller's project, or of any for those who may. */
function listing(verb: string, view: "index" | "detail") {
  return operation({
    name: `compute.server.${verb}`,
    // The filter is made by the wire from checked parameters; a second check would cost more than the list.
    input: Type.Unsafe<ServerListOptions>(Type.Object({})),
    faults: [badRequest],
    rules: [`os_compute_api:servers:${view}`],
    authorize: (ctx, input) => {
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
}

export const listServers = listing("list", "index")
export const listServerDetails = listing("list_details", "detail")
