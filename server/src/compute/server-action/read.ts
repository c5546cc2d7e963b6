import { type Static, Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { type Compared, listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { actionNotFound, badRequest, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "../server/read.ts"
import {
  type ServerAction,
  type ServerActionEvent,
  serverActionEventNoun,
  serverActionNoun,
} from "./server-action.ts"

/** The newest one: a request may have done several things. */
export async function selectAction(
  db: DbOrTx,
  serverId: string,
  requestId: string,
): Promise<ServerAction | undefined> {
  const query = { filters: { requestId: [requestId] }, page: { limit: 1 } }
  return (await listThings(db, serverActionNoun, { serverId }, query))[0]
}

export async function selectActionEvents(db: DbOrTx, actionId: number): Promise<ServerActionEvent[]> {
  return await listThings(db, serverActionEventNoun, { actionId })
}

const When = Type.Optional(Type.Union([Type.Unsafe<Date>({}), Type.Undefined()]))

const page = {
  changesSince: When,
  changesBefore: When,
  limit: Type.Integer({ minimum: 0 }),
  /** Request id after which the page starts. */
  marker: Type.Union([Type.String(), Type.Null()]),
}
const ActionPage = Type.Object(page)

/** Newest first. Undefined for an unknown marker. */
export async function selectActions(
  db: DbOrTx,
  serverId: string,
  { changesSince, changesBefore, limit, marker }: Static<typeof ActionPage>,
): Promise<ServerAction[] | undefined> {
  const after = marker === null ? null : await selectAction(db, serverId, marker)
  if (after === undefined) return undefined
  const updatedAt: Compared[] = []
  if (changesSince) updatedAt.push({ by: "atLeast", value: changesSince })
  if (changesBefore) updatedAt.push({ by: "atMost", value: changesBefore })
  return await listThings(
    db,
    serverActionNoun,
    { serverId },
    {
      filters: updatedAt.length > 0 ? { updatedAt } : {},
      page: { limit, marker: after && String(after.id) },
    },
  )
}

export const listServerActions = operation({
  name: "compute.server_action.list",
  /** Since 2.21 the actions of a deleted server can be read. */
  input: Type.Object({ serverId: Type.String(), withDeleted: Type.Boolean(), ...page }),
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
