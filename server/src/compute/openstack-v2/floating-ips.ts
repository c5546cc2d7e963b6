// Nova's old way to floating IPs, until 2.35: the network service's, in Nova's shape; a pool is an external network.
import type { Static } from "typebox"
import { all, one, shape, text, textOrNull } from "../../api/openstack/shape.ts"
import {
  createFloatingIps,
  deleteFloatingIp,
  type FloatingIp,
  getFloatingIp,
  listFloatingIps,
  listNetworks,
  type Network,
} from "../../network/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { object, typed } from "../../platform/schema/make.ts"
import { badRequest } from "../index.ts"

const last = "2.35"

async function poolsOf(ctx: Ctx): Promise<Network[]> {
  return (await listNetworks(ctx, { filters: { routerExternal: ["true"] } })).items
}

function viewFloatingIp(ip: FloatingIp, pools: readonly Network[]) {
  return {
    id: ip.id,
    ip: ip.floatingIpAddress,
    pool: pools.find((pool) => pool.id === ip.floatingNetworkId)?.name ?? ip.floatingNetworkId,
    fixed_ip: ip.fixedIpAddress,
    instance_id: ip.portDetails?.serverId ?? null,
  }
}

const floatingIp = shape("OldFloatingIp", {
  ...{ id: text, ip: text, pool: text, fixed_ip: textOrNull, instance_id: textOrNull },
})
const pool = shape("FloatingIpPool", { name: text })

async function find(ctx: Ctx, req: WireRequest): Promise<FloatingIp> {
  const id = req.params.floating_ip_id ?? ""
  if (!isUuid(id))
    throw new Fault("not_found", "network.floating_ip.not_found", `Floating IP not found for ID ${id}`)
  return await getFloatingIp(ctx, { id: id })
}

const createBody = object({ pool: typed(["string", "null"]) }, [], { additionalProperties: true })

async function create(ctx: Ctx, req: WireRequest<Static<typeof createBody> | undefined>) {
  const pools = await poolsOf(ctx)
  const wanted = req.body?.pool
  const pool = wanted ? pools.find((p) => p.id === wanted || p.name === wanted) : pools[0]
  if (!pool)
    throw new Fault(
      "not_found",
      "network.floating_ip.pool_not_found",
      `Floating IP pool ${wanted ?? ""} not found.`,
    )
  const [made] = await createFloatingIps(ctx, { items: [{ floatingNetworkId: pool.id }] })
  if (!made) throw badRequest("No floating IP could be made.")
  return { floating_ip: viewFloatingIp(made, pools) }
}

export const floatingIpRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-floating-ip-pools",
    max: last,
    operation: listNetworks,
    told: all("floating_ip_pools", pool),
    handler: async (ctx) => ({ floating_ip_pools: (await poolsOf(ctx)).map(({ name }) => ({ name })) }),
  }),
  route({
    method: "GET",
    path: "/os-floating-ips",
    max: last,
    operation: listFloatingIps,
    told: all("floating_ips", floatingIp),
    alsoAsks: listNetworks,
    handler: async (ctx) => {
      const pools = await poolsOf(ctx)
      const { items } = await listFloatingIps(ctx, { filters: { projectId: [ctx.caller.projectId ?? ""] } })
      return { floating_ips: items.map((ip) => viewFloatingIp(ip, pools)) }
    },
  }),
  route({
    method: "POST",
    path: "/os-floating-ips",
    max: last,
    operation: createFloatingIps,
    told: one("floating_ip", floatingIp),
    alsoAsks: listNetworks,
    body: createBody,
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-floating-ips/{floating_ip_id}",
    max: last,
    operation: getFloatingIp,
    told: one("floating_ip", floatingIp),
    alsoAsks: listNetworks,
    handler: async (ctx, req) => ({ floating_ip: viewFloatingIp(await find(ctx, req), await poolsOf(ctx)) }),
  }),
  route({
    method: "DELETE",
    path: "/os-floating-ips/{floating_ip_id}",
    max: last,
    operation: deleteFloatingIp,
    alsoAsks: getFloatingIp,
    status: 202,
    handler: async (ctx, req) => await deleteFloatingIp(ctx, { id: (await find(ctx, req)).id }),
  }),
]
