import { type Route, route } from "../../platform/http/wire.ts"
import {
  addExtraRoutes,
  addRouterInterface,
  createRouters,
  deleteRouter,
  getRouter,
  listRouters,
  type RouterInterface,
  removeExtraRoutes,
  removeRouterInterface,
  routerNoun,
  updateRouter,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { answerSchema, wrapped } from "./describe.ts"
import { boolean, type Kind, nullIsAbsent, objectOf, orNull, uuid } from "./kinds.ts"
import { zones } from "./networks.ts"
import { fixedIps } from "./ports.ts"
import { resource, resourceRoutes, viewOf } from "./resource.ts"
import { routeList } from "./subnets.ts"

const gatewayFields = objectOf({
  network_id: { kind: uuid, key: "networkId", required: true },
  enable_snat: { kind: nullIsAbsent(boolean), key: "enableSnat" },
  external_fixed_ips: { kind: fixedIps, key: "externalFixedIps" },
  qos_policy_id: { kind: orNull(uuid), key: "qosPolicyId" },
})

/** Null and the empty object both mean none. */
const gatewayInfo: Kind = {
  ...orNull(gatewayFields),
  read: (value, name) => {
    const isEmpty = typeof value === "object" && (value === null || Object.keys(value).length === 0)
    return isEmpty ? null : gatewayFields.read(value, name)
  },
}

export const routers = resource({
  noun: routerNoun,
  singular: "router",
  particulars: {
    external_gateway_info: {
      kind: gatewayInfo,
      hidden: false,
      view: ({ gateway, enableSnat }) =>
        gateway && {
          network_id: gateway.networkId,
          external_fixed_ips: gateway.externalFixedIps.map((ip) => ({
            subnet_id: ip.subnetId,
            ip_address: ip.ipAddress,
          })),
          enable_snat: enableSnat,
          qos_policy_id: gateway.qosPolicyId,
        },
    },
    routes: { kind: routeList },
    availability_zones: { shows: zones, view: (_router, ctx) => [ctx.config.network.availabilityZone] },
    flavor_id: { shows: { type: "null" }, view: () => null },
  },
  list: listRouters,
  get: getRouter,
  create: createRouters,
  update: updateRouter,
  remove: deleteRouter,
})

const interfaceFields = objectOf({
  subnet_id: { kind: nullIsAbsent(uuid), key: "subnetId" },
  port_id: { kind: nullIsAbsent(uuid), key: "portId" },
})

function readInterface(body: unknown): { subnetId?: string; portId?: string } {
  // What `objectOf` gives is what its fields say.
  return interfaceFields.read(body ?? {}, "interface_info") as { subnetId?: string; portId?: string }
}

const id = { type: "string", format: "uuid" }
const texts = { type: "array", items: { type: "string" } }
const interfaceShown = {
  title: "RouterInterface",
  type: "object",
  properties: {
    id,
    tenant_id: { type: "string" },
    project_id: { type: "string" },
    port_id: id,
    network_id: id,
    subnet_id: id,
    subnet_ids: { type: "array", items: id },
    tags: texts,
  },
}

function viewInterface(made: RouterInterface) {
  return {
    id: made.routerId,
    tenant_id: made.projectId,
    project_id: made.projectId,
    port_id: made.portId,
    network_id: made.networkId,
    subnet_id: made.subnetId,
    subnet_ids: made.subnetIds,
    tags: made.tags,
  }
}

function routesOf(body: unknown): { destination: string; nexthop: string }[] {
  const router: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "router") : undefined
  if (typeof router !== "object" || router === null)
    throw badRequest("Unable to find 'router' in request body")
  // What `routeList` reads are routes.
  return routeList.read(Reflect.get(router, "routes") ?? [], "routes") as {
    destination: string
    nexthop: string
  }[]
}

function extraRoutes(how: "add" | "remove"): Route {
  const operation = how === "add" ? addExtraRoutes : removeExtraRoutes
  return route({
    method: "PUT",
    path: `/routers/{router_id}/${how}_extraroutes`,
    operation,
    told: {
      body: wrapped("router", wrapped("routes", routeList.schema)),
      answer: answerSchema(routers),
    },
    handler: async (ctx, req) => {
      const router = await operation(ctx, {
        routerId: req.params.router_id ?? "",
        routes: routesOf(req.body),
      })
      return { router: viewOf(ctx, routers, router) }
    },
  })
}

export const routerRoutes: Route[] = [
  ...resourceRoutes(routers),
  route({
    method: "PUT",
    path: "/routers/{router_id}/add_router_interface",
    operation: addRouterInterface,
    told: { body: interfaceFields.schema, answer: interfaceShown },
    handler: async (ctx, req) =>
      viewInterface(
        await addRouterInterface(ctx, { routerId: req.params.router_id ?? "", ...readInterface(req.body) }),
      ),
  }),
  route({
    method: "PUT",
    path: "/routers/{router_id}/remove_router_interface",
    operation: removeRouterInterface,
    told: { body: interfaceFields.schema, answer: interfaceShown },
    handler: async (ctx, req) =>
      viewInterface(
        await removeRouterInterface(ctx, {
          routerId: req.params.router_id ?? "",
          ...readInterface(req.body),
        }),
      ),
  }),
  extraRoutes("add"),
  extraRoutes("remove"),
]
