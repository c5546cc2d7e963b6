import { Type } from "typebox"
import { count, countOrNull, each, from, mapFor, rare, shape, text } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { mapOf } from "../../platform/schema/make.ts"
import {
  type ConsumerAllocations,
  deleteConsumerAllocations,
  type HeldByConsumer,
  listConsumerAllocations,
  listProviderAllocations,
  manageAllocations,
  reshape,
  setConsumerAllocations,
} from "../index.ts"
import { readInventories } from "./inventories.ts"
import { type ConsumerBody, manageAllocationsBody, reshaperBody, setAllocationsBody } from "./schemas.ts"

/** Before 1.8 nobody said whose a consumer is. */
const unknownOwner = "00000000-0000-0000-0000-000000000000"

function readConsumer(consumerId: string, body: ConsumerBody): ConsumerAllocations {
  if (!isUuid(consumerId))
    throw invalid("consumer_uuid", `Malformed consumer_uuid: ${consumerId} is not a UUID.`)
  const entries = Array.isArray(body.allocations)
    ? body.allocations.map((entry) => [entry.resource_provider.uuid, entry] as const)
    : Object.entries(body.allocations)
  const allocations: ConsumerAllocations["allocations"] = {}
  for (const [id, { resources }] of entries) {
    if (!isUuid(id))
      throw invalid("allocations", `JSON does not validate: '${id}' is not a UUID of a provider.`)
    allocations[id.toLowerCase()] = { ...allocations[id.toLowerCase()], ...resources }
  }
  return {
    consumerId: consumerId.toLowerCase(),
    projectId: body.project_id ?? unknownOwner,
    userId: body.user_id ?? unknownOwner,
    consumerType: body.consumer_type ?? null,
    generation: body.consumer_generation === undefined ? "any" : body.consumer_generation,
    allocations,
  }
}

const readConsumers = (bodies: Readonly<Record<string, ConsumerBody>>) =>
  Object.entries(bodies).map(([id, body]) => readConsumer(id, body))

const held = { resources: mapOf(count) }
const byConsumer = shape("ConsumerAllocations", {
  allocations: mapOf(Type.Object({ ...held, generation: count })),
  ...each("project_id user_id", from("1.12", rare(text))),
  consumer_generation: from("1.28", rare(countOrNull)),
  consumer_type: from("1.38", rare(text)),
})
const heldByOne = shape("HeldByConsumer", { ...held, consumer_generation: from("1.28", count) })
const byProvider = shape("ProviderAllocations", {
  allocations: mapFor(heldByOne),
  resource_provider_generation: count,
})

const path = "/allocations/{consumer_uuid}"
const idOf = (req: WireRequest) => req.params.consumer_uuid ?? ""

export const allocationRoutes: Route[] = [
  route({
    method: "GET",
    path,
    operation: listConsumerAllocations,
    told: { answer: byConsumer },
    handler: async (ctx, req) => viewHeld(req, await listConsumerAllocations(ctx, { consumerId: idOf(req) })),
  }),
  route({
    method: "PUT",
    path,
    operation: setConsumerAllocations,
    status: 204,
    body: setAllocationsBody,
    handler: (ctx, req) => setConsumerAllocations(ctx, readConsumer(idOf(req), req.body)),
  }),
  route({
    method: "DELETE",
    path,
    operation: deleteConsumerAllocations,
    handler: (ctx, req) => deleteConsumerAllocations(ctx, { consumerId: idOf(req) }),
  }),
  route({
    method: "POST",
    path: "/allocations",
    operation: manageAllocations,
    min: "1.13",
    status: 204,
    body: manageAllocationsBody,
    handler: (ctx, req) => manageAllocations(ctx, { consumers: readConsumers(req.body) }),
  }),
  route({
    method: "GET",
    path: "/resource_providers/{uuid}/allocations",
    operation: listProviderAllocations,
    told: { answer: byProvider },
    handler: async (ctx, req) => {
      const held = await listProviderAllocations(ctx, { providerId: req.params.uuid ?? "" })
      const allocations = Object.entries(held.consumers).map(([id, { resources, generation }]) => [
        id,
        { resources, ...(atLeast(req.version, "1.28") ? { consumer_generation: generation } : {}) },
      ])
      const body = {
        allocations: Object.fromEntries(allocations),
        resource_provider_generation: held.provider.generation,
      }
      return body
    },
  }),
  route({
    method: "POST",
    path: "/reshaper",
    operation: reshape,
    min: "1.30",
    status: 204,
    body: reshaperBody,
    handler: async (ctx, req) => {
      const inventories = Object.entries(req.body.inventories).map(([id, wanted]) => [
        id,
        {
          generation: wanted.resource_provider_generation,
          inventories: readInventories(wanted.inventories),
        },
      ])
      await reshape(ctx, {
        inventories: Object.fromEntries(inventories),
        consumers: readConsumers(req.body.allocations),
      })
    },
  }),
]

function viewHeld(req: WireRequest, held: HeldByConsumer | null): Record<string, unknown> {
  if (!held) return { allocations: {} }
  return {
    allocations: held.allocations,
    ...(atLeast(req.version, "1.12") ? { project_id: held.projectId, user_id: held.userId } : {}),
    ...(atLeast(req.version, "1.28") ? { consumer_generation: held.generation } : {}),
    ...(atLeast(req.version, "1.38") ? { consumer_type: held.consumerType ?? "unknown" } : {}),
  }
}
