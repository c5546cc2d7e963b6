// Interfaces and security groups of a server that is there already. The network service owns the ports; the host
// plugs them.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import {
  interfaceNotFound,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { targetOf, visibleServer } from "./find.ts"
import {
  attachPort,
  changeGroup,
  detachPort,
  type GroupOfServer,
  type ServerInterface,
  selectInterfaces,
  selectSecurityGroups,
} from "./networking.ts"
import type { Server } from "./server.ts"
import type { ActionName } from "./state.ts"
import { actorOf, claimServer } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]
const ServerId = Type.Object({ serverId: Type.String() })

export const listServerInterfaces = operation({
  name: "compute.server.list_interfaces",
  input: ServerId,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-attach-interfaces:list", targetOf(server)]],
  run: (ctx, _input, server): Promise<ServerInterface[]> => selectInterfaces(ctx, server.id),
})

async function interfaceOf(ctx: Ctx, server: Server, portId: string): Promise<ServerInterface> {
  const found = (await selectInterfaces(ctx, server.id)).find((i) => i.portId === portId)
  if (!found) throw interfaceNotFound(server.id, portId)
  return found
}

export const showServerInterface = operation({
  name: "compute.server.show_interface",
  input: Type.Object({ serverId: Type.String(), portId: Type.String() }),
  faults: [serverNotFound, interfaceNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-attach-interfaces:show", targetOf(server)]],
  run: (ctx, input, server) => interfaceOf(ctx, server, input.portId),
})

/** Takes a new generation for one command to the host, and records the action. */
async function claimForCommand(ctx: Ctx, server: Server, name: ActionName, action: string): Promise<Server> {
  return await transact(ctx.db, async (tx) => {
    const claimed = await claimServer(ctx, tx, server.id, name)
    if (!claimed.host) throw serverNotReady(server.id)
    await recordActions(tx, [{ serverId: server.id, action, ...actorOf(ctx) }])
    return claimed
  })
}

async function finishCommand(ctx: Ctx, server: Server, event: string, error: string | null): Promise<void> {
  await endAction(ctx.db, { serverId: server.id, requestId: ctx.requestId, event, host: server.host, error })
}

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
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-attach-interfaces:create", targetOf(server)]],
  run: async (ctx, input, loaded) => {
    const server = await claimForCommand(ctx, loaded, "attachInterface", "attach_interface")
    const part = "compute_attach_interface"
    const host = server.host ?? ""
    try {
      const vif = await attachPort(ctx, server, host, input)
      try {
        const fence = { generation: server.generation, fence: 0 }
        await callAgent(ctx, host, "vm.plug", { serverId: server.id, vif, fence })
      } catch (error) {
        await detachPort(ctx, server.id, vif.portId)
        throw error
      }
      await finishCommand(ctx, server, part, null)
      return await interfaceOf(ctx, server, vif.portId)
    } catch (error) {
      await finishCommand(ctx, server, part, error instanceof Fault ? error.message : "Unexpected error")
      throw error
    }
  },
})

export const detachInterface = operation({
  name: "compute.server.detach_interface",
  input: Type.Object({ serverId: Type.String(), portId: Type.String() }),
  faults: [interfaceNotFound, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-attach-interfaces:delete", targetOf(server)]],
  run: async (ctx, input, loaded) => {
    await interfaceOf(ctx, loaded, input.portId)
    const server = await claimForCommand(ctx, loaded, "detachInterface", "detach_interface")
    const part = "compute_detach_interface"
    try {
      const fence = { generation: server.generation, fence: 0 }
      const command = { serverId: server.id, portId: input.portId, fence }
      await callAgent(ctx, server.host ?? "", "vm.unplug", command)
      await detachPort(ctx, server.id, input.portId)
      await finishCommand(ctx, server, part, null)
    } catch (error) {
      await finishCommand(ctx, server, part, error instanceof Fault ? error.message : "Unexpected error")
      throw error
    }
  },
})

export const listServerSecurityGroups = operation({
  name: "compute.server.list_security_groups",
  input: ServerId,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-security-groups:list", targetOf(server)]],
  run: (ctx, _input, server): Promise<GroupOfServer[]> => selectSecurityGroups(ctx, server.id),
})

const GroupInput = Type.Object({ serverId: Type.String(), group: Type.String() })

export const addServerSecurityGroup = operation({
  name: "compute.server.add_security_group",
  input: GroupInput,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-security-groups:add", targetOf(server)]],
  run: (ctx, input, server) => changeGroup(ctx, server, input.group, "add"),
})

export const removeServerSecurityGroup = operation({
  name: "compute.server.remove_security_group",
  input: GroupInput,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-security-groups:remove", targetOf(server)]],
  run: (ctx, input, server) => changeGroup(ctx, server, input.group, "remove"),
})
