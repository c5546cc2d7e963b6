// Points a floating IP of the project at one of the server's fixed addresses (Nova's addFloatingIp, until 2.43).
import { Type } from "typebox"
import { listFloatingIps, listServerPorts, updateFloatingIp } from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest, floatingIpNotFound, floatingIpNotOfServer, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

async function floatingIpOf(ctx: Ctx, address: string) {
  const { items } = await listFloatingIps(ctx, { filters: { floatingIpAddress: [address] } })
  const [found] = items
  if (!found) throw floatingIpNotFound(address)
  return found
}

export const addServerFloatingIp = operation({
  name: "compute.server.add_floating_ip",
  input: Type.Object({
    serverId: Type.String(),
    address: Type.String(),
    /** null: the first IPv4 address of the server. */
    fixedAddress: Type.Union([Type.String(), Type.Null()]),
  }),
  faults: [serverNotFound, floatingIpNotFound, badRequest],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-floating-ips:add",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const ip = await floatingIpOf(ctx, input.address)
    const wanted = input.fixedAddress
    const candidates = (await listServerPorts(ctx, server.id)).flatMap((port) =>
      port.fixedIps.map(({ ipAddress }) => ({ portId: port.portId, fixedIpAddress: ipAddress })),
    )
    const chosen = candidates.find(({ fixedIpAddress }) =>
      wanted === null ? !fixedIpAddress.includes(":") : fixedIpAddress === wanted,
    )
    if (!chosen)
      throw badRequest(
        wanted === null
          ? "Instance network is not ready yet"
          : "Specified fixed address not assigned to instance",
      )
    await updateFloatingIp(ctx, { id: ip.id, changes: chosen })
  },
})

export const removeServerFloatingIp = operation({
  name: "compute.server.remove_floating_ip",
  input: Type.Object({ serverId: Type.String(), address: Type.String() }),
  faults: [serverNotFound, floatingIpNotFound, floatingIpNotOfServer],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-floating-ips:remove",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const ip = await floatingIpOf(ctx, input.address)
    const ports = await listServerPorts(ctx, server.id)
    if (!ports.some((port) => port.portId === ip.portId))
      throw floatingIpNotOfServer(input.address, server.id)
    await updateFloatingIp(ctx, { id: ip.id, changes: { portId: null } })
  },
})
