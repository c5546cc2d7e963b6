// Interfaces and security groups of a server that is there already. The network service owns the ports; the host
// plugs them.
import { Type } from "typebox"
import {
  attachServerInterfaces,
  changeServerSecurityGroup,
  listSecurityGroupsOfServer,
  listServerPorts,
  planServerInterface,
  type ServerPort,
  serverGroupMissing,
  serverHostWithoutWay,
  serverNetworkFaults,
} from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  interfaceNotFound,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { recordActions } from "../server-action/store.ts"
import { attachInterfaceSaga, detachInterfaceSaga } from "./interface.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import type { Server } from "./server.ts"
import { actionRules } from "./state.ts"
import { actorOf, checkState, claimServer } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]
const ServerId = Type.Object({ serverId: Type.String() })

export const listServerInterfaces = operation({
  name: "compute.server.list_interfaces",
  input: ServerId,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-attach-interfaces:list",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, _input, server) => listServerPorts(ctx, server.id),
})

async function interfaceOf(ctx: Ctx, server: Server, portId: string): Promise<ServerPort> {
  const found = (await listServerPorts(ctx, server.id)).find((i) => i.portId === portId)
  if (!found) throw interfaceNotFound(server.id, portId)
  return found
}

export const showServerInterface = operation({
  name: "compute.server.show_interface",
  input: Type.Object({ serverId: Type.String(), portId: Type.String() }),
  faults: [serverNotFound, interfaceNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-attach-interfaces:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) => interfaceOf(ctx, server, input.portId),
})

/** Takes a new generation for one command to the host, and records the action. */
async function claimForCommand(
  ctx: Ctx,
  tx: Tx,
  serverId: string,
  name: "attachInterface" | "detachInterface",
) {
  const claimed = await claimServer(ctx, tx, serverId, name)
  const { host, generation } = claimed
  if (!host) throw serverNotReady(serverId)
  const actor = actorOf(ctx)
  await recordActions(tx, [{ serverId, action: actionRules[name].action, ...actor }])
  return { serverId, generation, host, ...actor }
}

/** These requests are answered when it is done, or when it is known to take longer. */
async function ended(ctx: Ctx, sagaId: string): Promise<void> {
  const { agentCallTimeoutMs } = ctx.config.compute
  const { state, failure } = await ctx.sagas.waitForSaga(ctx.db, sagaId, agentCallTimeoutMs)
  if (state === "done") return
  if (!failure) throw new Fault("unavailable", "compute.server.interface_underway", underway)
  const { kind, code, message } = failure
  throw new Fault(kind, code, message)
}
const underway = "The change of the interface takes longer; the actions of the server say when it has ended."

const nullableText = Type.Union([Type.String(), Type.Null()])

/** The port is made (or taken), bound to the host and plugged; on failure it is given back. */
export const attachInterface = operation({
  name: "compute.server.attach_interface",
  input: Type.Object({
    serverId: Type.String(),
    networkId: nullableText,
    portId: nullableText,
    fixedIp: nullableText,
    tag: nullableText,
  }),
  faults: [...states, ...serverNetworkFaults, serverHostWithoutWay],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-attach-interfaces:create",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    checkState(ctx, server, "attachInterface")
    const { networkId, portId: asked, fixedIp, tag } = input
    const request = { networkId, portId: asked, fixedIp, tag }
    const planned = await planServerInterface(ctx, server.projectId, request)
    const { sagaId, portId } = await transact(ctx.db, async (tx) => {
      const params = await claimForCommand(ctx, tx, server.id, "attachInterface")
      const [vif] = await attachServerInterfaces(ctx, tx, { server, host: params.host, planned })
      if (!vif) throw new Error("one interface was planned")
      const { portId } = vif
      const how = { requestId: ctx.requestId, resourceId: server.id }
      return {
        portId,
        sagaId: await ctx.sagas.start(tx, attachInterfaceSaga, { ...params, portId, vif }, how),
      }
    })
    await ended(ctx, sagaId)
    return await interfaceOf(ctx, server, portId)
  },
})

export const detachInterface = operation({
  name: "compute.server.detach_interface",
  input: Type.Object({ serverId: Type.String(), portId: Type.String() }),
  faults: [interfaceNotFound, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-attach-interfaces:delete",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { portId }, server) => {
    await interfaceOf(ctx, server, portId)
    const sagaId = await transact(ctx.db, async (tx) => {
      const params = await claimForCommand(ctx, tx, server.id, "detachInterface")
      const how = { requestId: ctx.requestId, resourceId: server.id }
      return await ctx.sagas.start(tx, detachInterfaceSaga, { ...params, portId }, how)
    })
    await ended(ctx, sagaId)
  },
})

export const listServerSecurityGroups = operation({
  name: "compute.server.list_security_groups",
  input: ServerId,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-security-groups:list",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, _input, server) => listSecurityGroupsOfServer(ctx, server.id),
})

const GroupInput = Type.Object({ serverId: Type.String(), group: Type.String() })

async function changeGroup(ctx: Ctx, server: Server, group: string, change: "add" | "remove"): Promise<void> {
  const { id: serverId, projectId } = server
  await changeServerSecurityGroup(ctx, { serverId, projectId, group, change })
}

export const addServerSecurityGroup = operation({
  name: "compute.server.add_security_group",
  input: GroupInput,
  faults: [serverNotFound, serverGroupMissing],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-security-groups:add",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) => changeGroup(ctx, server, input.group, "add"),
})

export const removeServerSecurityGroup = operation({
  name: "compute.server.remove_security_group",
  input: GroupInput,
  faults: [serverNotFound, serverGroupMissing],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-security-groups:remove",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) => changeGroup(ctx, server, input.group, "remove"),
})
