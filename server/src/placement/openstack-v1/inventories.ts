import { Type } from "typebox"
import { amount, count, each, shape } from "../../api/openstack/shape.ts"
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
  listInventories,
  replaceInventories,
  updateInventory,
} from "../index.ts"
import { checkQuery, knownAt, one, toldQuery } from "./query.ts"
import { answer, checkAccept, providerPath, requireJson } from "./reply.ts"
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

function view(inventory: Inventory): Record<string, unknown> {
  return {
    total: inventory.total,
    reserved: inventory.reserved,
    min_unit: inventory.minUnit,
    max_unit: inventory.maxUnit,
    step_size: inventory.stepSize,
    allocation_ratio: inventory.allocationRatio,
  }
}

function viewOne(found: { provider: { generation: number }; inventory: Inventory }) {
  return { ...view(found.inventory), resource_provider_generation: found.provider.generation }
}

function viewAll(found: { provider: { generation: number }; inventories: Record<string, Inventory> }) {
  return {
    resource_provider_generation: found.provider.generation,
    inventories: Object.fromEntries(Object.entries(found.inventories).map(([name, i]) => [name, view(i)])),
  }
}

const inventory = { ...each("total reserved min_unit max_unit step_size", count), allocation_ratio: amount }
const generation = { resource_provider_generation: count }
const oneInventory = shape("Inventory", { ...inventory, ...generation })
const allInventories = shape("Inventories", { ...generation, inventories: mapOf(Type.Object(inventory)) })
const counts = mapOf(count)
const providerUsages = shape("ProviderUsages", { ...generation, usages: counts })
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
    told: { answer: allInventories },
    handler: async (ctx, req) => {
      checkAccept(req)
      return answer(ctx, req, viewAll(await listInventories(ctx, { providerId: idOf(req) })))
    },
  }),
  route({
    method: "POST",
    path,
    operation: createInventory,
    told: { answer: oneInventory },
    body: createInventoryBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const resourceClass = req.body.resource_class
      const found = await createInventory(ctx, {
        providerId: idOf(req),
        resourceClass,
        inventory: readInventory(req.body),
        mayReserveAll: mayReserveAll(req),
      })
      const location = `${providerPath(req, found.provider.id)}/inventories/${resourceClass}`
      return answer(ctx, req, viewOne(found), { location })
    },
  }),
  route({
    method: "PUT",
    path,
    operation: replaceInventories,
    told: { answer: allInventories },
    body: replaceInventoriesBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const found = await replaceInventories(ctx, {
        providerId: idOf(req),
        generation: req.body.resource_provider_generation,
        inventories: readInventories(req.body.inventories),
        mayReserveAll: mayReserveAll(req),
      })
      return answer(ctx, req, viewAll(found))
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
    told: { answer: oneInventory },
    handler: async (ctx, req) => {
      checkAccept(req)
      const found = await getInventory(ctx, { providerId: idOf(req), resourceClass: classOf(req) })
      return answer(ctx, req, viewOne(found))
    },
  }),
  route({
    method: "PUT",
    path: `${path}/{resource_class}`,
    operation: updateInventory,
    told: { answer: oneInventory },
    body: updateInventoryBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const found = await updateInventory(ctx, {
        providerId: idOf(req),
        resourceClass: classOf(req),
        generation: req.body.resource_provider_generation,
        inventory: readInventory(req.body),
        mayReserveAll: mayReserveAll(req),
      })
      return answer(ctx, req, viewOne(found))
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
    told: { answer: providerUsages },
    handler: async (ctx, req) => {
      checkAccept(req)
      const found = await getProviderUsages(ctx, { providerId: idOf(req) })
      const body = { resource_provider_generation: found.provider.generation, usages: found.usages }
      return answer(ctx, req, body)
    },
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
  checkAccept(req)
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
  if (!knowsTypes) return answer(ctx, req, { usages: sum(found.map((f) => f.usages)) })
  if (type === "all") {
    const consumerCount = found.reduce((n, f) => n + f.consumerCount, 0)
    const all = { ...sum(found.map((f) => f.usages)), consumer_count: consumerCount }
    return answer(ctx, req, { usages: found.length === 0 ? {} : { all } })
  }
  const shown = found.filter((f) => type === undefined || (f.consumerType ?? "unknown") === type)
  const usages = Object.fromEntries(
    shown.map((f) => [f.consumerType ?? "unknown", { ...f.usages, consumer_count: f.consumerCount }]),
  )
  return answer(ctx, req, { usages })
}

function sum(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const usages of all)
    for (const [name, used] of Object.entries(usages)) sums[name] = (sums[name] ?? 0) + used
  return sums
}
