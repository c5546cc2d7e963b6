import { count, mapFor, shape } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { methodNotAllowed } from "../../platform/http/faults.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { mapOf } from "../../platform/schema/make.ts"
import {
  createInventory,
  deleteInventories,
  getInventory,
  getProjectUsages,
  getProviderUsages,
  type Inventory,
  inventoryNoun,
  listInventories,
  type ProviderInventories,
  type ProviderInventory,
  replaceInventories,
  updateInventory,
} from "../index.ts"
import { checkQuery, knownAt, one, toldQuery } from "./query.ts"
import { answer, generation, type Provided, providerPath } from "./reply.ts"
import {
  createInventoryBody,
  type InventoryBody,
  replaceInventoriesBody,
  updateInventoryBody,
} from "./schemas.ts"

const int32Max = 2_147_483_647

export function readInventory(body: InventoryBody): Inventory {
  return {
    total: body.total,
    reserved: body.reserved ?? 0,
    minUnit: body.min_unit ?? 1,
    maxUnit: body.max_unit ?? int32Max,
    stepSize: body.step_size ?? 1,
    allocationRatio: body.allocation_ratio ?? 1,
  }
}

export function readInventories(bodies: Readonly<Record<string, InventoryBody>>): Record<string, Inventory> {
  return Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, readInventory(body)]))
}

const members = {
  ...named(inventoryNoun.fields, ["total", "reserved", "minUnit", "maxUnit", "stepSize"]),
  ...named(inventoryNoun.fields, ["allocationRatio"]),
}
const inventory = view<Inventory>("InventoryOfClass", members)
const oneInventory = view<Inventory & Provided>("Inventory", { ...members, ...generation })
const allInventories = view<ProviderInventories>("Inventories", {
  ...generation,
  inventories: [
    mapFor(inventory.shows),
    ({ inventories }, ctx, asked) =>
      Object.fromEntries(
        Object.entries(inventories).map(([name, each]) => [name, inventory.show(ctx, asked, each)]),
      ),
  ],
})
const showOne = (ctx: Ctx, req: WireRequest, { provider, inventory }: ProviderInventory) =>
  oneInventory.show(ctx, req, { ...inventory, provider })
const counts = mapOf(count)
const providerUsages = view<Provided & { usages: Record<string, number> }>("ProviderUsages", {
  ...generation,
  usages: [counts, "usages"],
})
/** By consumer type, later. */
const usages = shape("Usages", { usages: versions({ "": counts, "1.38": mapOf(counts) }) })

const path = "/resource_providers/{uuid}/inventories"
const idOf = (req: WireRequest) => req.params.uuid ?? ""
const classOf = (req: WireRequest) => req.params.resource_class ?? ""
const mayReserveAll = (req: WireRequest) => atLeast(req.version, "1.26")

const usageParameters = [
  { name: "project_id", from: "1.9" },
  { name: "user_id", from: "1.9" },
  { name: "consumer_type", from: "1.38" },
]

export const inventoryRoutes: Route[] = [
  route({
    method: "GET",
    path,
    operation: listInventories,
    told: { answer: allInventories.shows },
    handler: async (ctx, req) =>
      allInventories.show(ctx, req, await listInventories(ctx, { providerId: idOf(req) })),
  }),
  route({
    method: "POST",
    path,
    operation: createInventory,
    told: { answer: oneInventory.shows },
    body: createInventoryBody,
    handler: async (ctx, req) => {
      const resourceClass = req.body.resource_class
      const found = await createInventory(ctx, {
        providerId: idOf(req),
        resourceClass,
        inventory: readInventory(req.body),
        mayReserveAll: mayReserveAll(req),
      })
      const location = `${providerPath(req, found.provider.id)}/inventories/${resourceClass}`
      return answer(ctx, req, showOne(ctx, req, found), { location })
    },
  }),
  route({
    method: "PUT",
    path,
    operation: replaceInventories,
    told: { answer: allInventories.shows },
    body: replaceInventoriesBody,
    handler: async (ctx, req) => {
      const found = await replaceInventories(ctx, {
        providerId: idOf(req),
        generation: req.body.resource_provider_generation,
        inventories: readInventories(req.body.inventories),
        mayReserveAll: mayReserveAll(req),
      })
      return allInventories.show(ctx, req, found)
    },
  }),
  route({
    method: "DELETE",
    path,
    operation: deleteInventories,
    handler: async (ctx, req) => {
      if (!atLeast(req.version, "1.5")) throw methodNotAllowed(req.method, ["GET", "POST", "PUT"])
      await deleteInventories(ctx, { providerId: idOf(req), resourceClass: null })
    },
  }),
  route({
    method: "GET",
    path: `${path}/{resource_class}`,
    operation: getInventory,
    told: { answer: oneInventory.shows },
    handler: async (ctx, req) =>
      showOne(ctx, req, await getInventory(ctx, { providerId: idOf(req), resourceClass: classOf(req) })),
  }),
  route({
    method: "PUT",
    path: `${path}/{resource_class}`,
    operation: updateInventory,
    told: { answer: oneInventory.shows },
    body: updateInventoryBody,
    handler: async (ctx, req) => {
      const found = await updateInventory(ctx, {
        providerId: idOf(req),
        resourceClass: classOf(req),
        generation: req.body.resource_provider_generation,
        inventory: readInventory(req.body),
        mayReserveAll: mayReserveAll(req),
      })
      return showOne(ctx, req, found)
    },
  }),
  route({
    method: "DELETE",
    path: `${path}/{resource_class}`,
    operation: deleteInventories,
    handler: (ctx, req) => deleteInventories(ctx, { providerId: idOf(req), resourceClass: classOf(req) }),
  }),
  route({
    method: "GET",
    path: "/resource_providers/{uuid}/usages",
    operation: getProviderUsages,
    told: { answer: providerUsages.shows },
    handler: async (ctx, req) =>
      providerUsages.show(ctx, req, await getProviderUsages(ctx, { providerId: idOf(req) })),
  }),
  route({
    method: "GET",
    path: "/usages",
    operation: getProjectUsages,
    min: "1.9",
    told: { ...toldQuery(usageParameters), answer: usages },
    handler: projectUsages,
  }),
]

const typePattern = /^[A-Z0-9_]+$/

async function projectUsages(ctx: Ctx, req: WireRequest): Promise<unknown> {
  const knowsTypes = atLeast(req.version, "1.38")
  checkQuery(req, knownAt(req, usageParameters))
  const [projectId, userId, type] = [one(req, "project_id"), one(req, "user_id"), one(req, "consumer_type")]
  if (!projectId || projectId.length > 255)
    throw invalid("project_id", "Invalid query string parameters: 'project_id' is a required property")
  if (userId !== undefined && (userId === "" || userId.length > 255))
    throw invalid("user_id", "Invalid query string parameters: 'user_id' must have 1 to 255 characters")
  const isGroup = type === "all" || type === "unknown"
  if (type !== undefined && !isGroup && !typePattern.test(type))
    throw invalid("consumer_type", `Invalid query string parameters: '${type}' is no consumer type`)
  const found = await getProjectUsages(ctx, { projectId, userId: userId ?? null })
  if (!knowsTypes) return { usages: sum(found.map((f) => f.usages)) }
  if (type === "all") {
    const consumerCount = found.reduce((n, f) => n + f.consumerCount, 0)
    const all = { ...sum(found.map((f) => f.usages)), consumer_count: consumerCount }
    return { usages: found.length === 0 ? {} : { all } }
  }
  const shown = found.filter((f) => type === undefined || (f.consumerType ?? "unknown") === type)
  const usages = Object.fromEntries(
    shown.map((f) => [f.consumerType ?? "unknown", { ...f.usages, consumer_count: f.consumerCount }]),
  )
  return { usages }
}

function sum(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const usages of all)
    for (const [name, used] of Object.entries(usages)) sums[name] = (sums[name] ?? 0) + used
  return sums
}
