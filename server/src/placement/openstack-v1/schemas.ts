// Bodies of the placement API by microversion.
import type { JsonSchema } from "../../platform/http/wire.ts"

const int32Max = 2_147_483_647
const uuid = { type: "string", pattern: "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$" }
/** A key, for which dashes are needed. */
const uuidKey = "^[0-9a-fA-F-]{36}$"
const classKey = "^[A-Z0-9_]+$"
export const customName = { type: "string", pattern: "^CUSTOM_[A-Z0-9_]+$", maxLength: 255 }
const providerName = { type: "string", minLength: 1, maxLength: 200 }

const closed = (properties: Readonly<Record<string, unknown>>, required: readonly string[]): JsonSchema => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
})

const parent = { anyOf: [uuid, { type: "null" }] }

export const createProviderBody = [
  { from: "1.0", schema: closed({ name: providerName, uuid }, ["name"]) },
  { from: "1.14", schema: closed({ name: providerName, uuid, parent_provider_uuid: parent }, ["name"]) },
]
export const updateProviderBody = [
  { from: "1.0", schema: closed({ name: providerName }, ["name"]) },
  { from: "1.14", schema: closed({ name: providerName, parent_provider_uuid: parent }, ["name"]) },
]

const whole = (minimum: number) => ({ type: "integer", minimum, maximum: int32Max })
const inventoryFields = {
  resource_provider_generation: { type: "integer" },
  total: whole(1),
  reserved: whole(0),
  min_unit: whole(1),
  max_unit: whole(1),
  step_size: whole(1),
  // The largest single-precision number.
  allocation_ratio: { type: "number", minimum: 0, maximum: 3.40282e38 },
}
export const createInventoryBody = closed(
  { ...inventoryFields, resource_class: { type: "string", pattern: classKey } },
  ["total", "resource_class"],
)
export const updateInventoryBody = closed(inventoryFields, ["total", "resource_provider_generation"])
const inventories = {
  type: "object",
  patternProperties: { [classKey]: closed(inventoryFields, ["total"]) },
  additionalProperties: false,
}
export const replaceInventoriesBody = closed(
  { resource_provider_generation: { type: "integer" }, inventories },
  ["resource_provider_generation", "inventories"],
)

export const resourceClassBody = closed({ name: customName }, ["name"])

const aggregates = { type: "array", items: uuid, uniqueItems: true }
export const aggregatesBody = [
  { from: "1.1", schema: aggregates },
  {
    from: "1.19",
    schema: closed({ aggregates, resource_provider_generation: { type: "integer" } }, [
      "aggregates",
      "resource_provider_generation",
    ]),
  },
]

export const providerTraitsBody = closed(
  {
    traits: {
      type: "array",
      items: { type: "string", pattern: classKey, maxLength: 255 },
      uniqueItems: true,
    },
    resource_provider_generation: { type: "integer" },
  },
  ["traits", "resource_provider_generation"],
)

const resources = {
  type: "object",
  minProperties: 1,
  patternProperties: { [classKey]: { type: "integer", minimum: 1, maximum: int32Max } },
  additionalProperties: false,
}
const ownerId = { type: "string", minLength: 1, maxLength: 255 }
const owner = { project_id: ownerId, user_id: ownerId }
const allocationList = {
  type: "array",
  minItems: 1,
  items: closed({ resource_provider: closed({ uuid }, ["uuid"]), resources }, [
    "resource_provider",
    "resources",
  ]),
}
const allocationMap = (minProperties: number) => ({
  type: "object",
  minProperties,
  patternProperties: {
    [uuidKey]: closed({ generation: { type: "integer" }, resources }, ["resources"]),
  },
  additionalProperties: false,
})
const consumerGeneration = { type: ["integer", "null"] }
const mappings = {
  type: "object",
  minProperties: 1,
  patternProperties: { "^[a-zA-Z0-9_-]{0,64}$": { type: "array", minItems: 1, items: uuid } },
}
const consumerType = { type: "string", pattern: classKey, minLength: 1, maxLength: 255 }

const named = ["allocations", "project_id", "user_id"]
const emptiable = { ...owner, allocations: allocationMap(0) }
const since128 = { ...emptiable, consumer_generation: consumerGeneration }
const since134 = { ...since128, mappings }
const since138 = { ...since134, consumer_type: consumerType }
const consumerBodies = [
  { from: "1.13", schema: closed(emptiable, named) },
  { from: "1.28", schema: closed(since128, [...named, "consumer_generation"]) },
  { from: "1.34", schema: closed(since134, [...named, "consumer_generation"]) },
  { from: "1.38", schema: closed(since138, [...named, "consumer_generation", "consumer_type"]) },
]

export const setAllocationsBody = [
  { from: "1.0", schema: closed({ allocations: allocationList }, ["allocations"]) },
  { from: "1.8", schema: closed({ allocations: allocationList, ...owner }, named) },
  { from: "1.12", schema: closed({ allocations: allocationMap(1), ...owner }, named) },
  ...consumerBodies.slice(1),
]

const byConsumer = (schema: JsonSchema, minProperties: number): JsonSchema => ({
  type: "object",
  minProperties,
  patternProperties: { [uuidKey]: schema },
  additionalProperties: false,
})

export const manageAllocationsBody = consumerBodies.map(({ from, schema }) => ({
  from,
  schema: byConsumer(schema, 1),
}))

export const reshaperBody = consumerBodies.slice(1).map(({ from, schema }) => ({
  from: from === "1.28" ? "1.30" : from,
  schema: closed(
    {
      inventories: {
        type: "object",
        patternProperties: { [uuidKey]: replaceInventoriesBody },
        additionalProperties: false,
      },
      allocations: byConsumer(schema, 0),
    },
    ["inventories", "allocations"],
  ),
}))
