// One more address on an interface that is there already, or one less (Nova's addFixedIp, until 2.43).
import { Type } from "typebox"
import { listServerPorts, updatePort } from "../../network/index.ts"
import { operation } from "../../platform/operation/operation.ts"
import { fixedIpNotFound, networkNotOfServer, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

export const addServerFixedIp = operation({
  name: "compute.server.add_fixed_ip",
  input: Type.Object({ serverId: Type.String(), networkId: Type.String() }),
  faults: [serverNotFound, networkNotOfServer],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-multinic:add",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const port = (await listServerPorts(ctx, server.id)).find((i) => i.networkId === input.networkId)
    const subnetId = port?.fixedIps[0]?.subnetId
    if (!port || subnetId === undefined) throw networkNotOfServer()
    await updatePort(ctx, { id: port.portId, changes: { fixedIps: [...port.fixedIps, { subnetId }] } })
  },
})

export const removeServerFixedIp = operation({
  name: "compute.server.remove_fixed_ip",
  input: Type.Object({ serverId: Type.String(), address: Type.String() }),
  faults: [serverNotFound, fixedIpNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-multinic:remove",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const has = (ips: readonly { ipAddress: string }[]) => ips.some((ip) => ip.ipAddress === input.address)
    const port = (await listServerPorts(ctx, server.id)).find((i) => has(i.fixedIps))
    if (!port) throw fixedIpNotFound(input.address, server.id)
    const fixedIps = port.fixedIps.filter((ip) => ip.ipAddress !== input.address)
    await updatePort(ctx, { id: port.portId, changes: { fixedIps } })
  },
})
