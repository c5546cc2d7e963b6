import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { actionNotFound, badRequest, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "../server/find.ts"
import {
  type ActionFilter,
  type ServerAction,
  type ServerActionEvent,
  selectAction,
  selectActionEvents,
  selectActions,
} from "./store.ts"

interface ListActions extends ActionFilter {
  serverId: string
  /** Since 2.21 the actions of a deleted server can be read. */
  withDeleted: boolean
}

export const listServerActions = operation({
  name: "compute.server_action.list",
  input: Type.Unsafe<ListActions>(Type.Object({ serverId: Type.String(), withDeleted: Type.Boolean() })),
  faults: [serverNotFound, badRequest],
  load: (ctx, input) => visibleServer(ctx, input.serverId, { withDeleted: input.withDeleted }),
  rule: "os_compute_api:os-instance-actions:list",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server): Promise<ServerAction[]> => {
    const found = await selectActions(ctx.db, server.id, input)
    if (!found) throw badRequest(`marker [${input.marker}] not found`)
    return found
  },
})

export interface ShownAction {
  action: ServerAction
  events: ServerActionEvent[]
  projectId: string
  /** What of the events this caller may see. */
  maySeeEvents: boolean
  maySeeDetails: boolean
}

export const showServerAction = operation({
  name: "compute.server_action.show",
  input: Type.Object({ serverId: Type.String(), requestId: Type.String(), withDeleted: Type.Boolean() }),
  faults: [serverNotFound, actionNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId, { withDeleted: input.withDeleted }),
  rule: "os_compute_api:os-instance-actions:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server): Promise<ShownAction> => {
    const action = await selectAction(ctx.db, server.id, input.requestId)
    if (!action) throw actionNotFound(input.requestId)
    const may = (rule: string) =>
      ctx.policy.isAllowed(ctx.caller, `os_compute_api:os-instance-actions:${rule}`, targetOf(server))
    return {
      action,
      events: await selectActionEvents(ctx.db, action.id),
      projectId: server.projectId,
      maySeeEvents: may("events"),
      maySeeDetails: may("events:details"),
    }
  },
})
