// Bodies of the placement API by microversion.
import { type Static, type TSchema, Type } from "typebox"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { closed, dictionary, nullable, typed } from "../../platform/schema/make.ts"

const int32Max = 2_147_483_647
const uuid = Type.String({ pattern: "^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$" })
/** A key, for which dashes are needed. */
const uuidKey = "^[0-9a-fA-F-]{36}$"
const classKey = "^[A-Z0-9_]+$"
const providerName = Type.String({ minLength: 1, maxLength: 200 })
const generation = Type.Integer()

const newProvider = { name: providerName, uuid }
const parent = { parent_provider_uuid: nullable(uuid) }
export const createProviderBody = versions({
  "1.0": closed(newProvider, ["name"]),
  "1.14": closed({ ...newProvider, ...parent }, ["name"]),
})
export const updateProviderBody = versions({
  "1.0": closed({ name: providerName }, ["name"]),
  "1.14": closed({ name: providerName, ...parent }, ["name"]),
})

const whole = (minimum: number) => Type.Integer({ minimum, maximum: int32Max })
const inventory = {
  resource_provider_generation: generation,
  total: whole(1),
  reserved: whole(0),
  min_unit: whole(1),
  max_unit: whole(1),
  step_size: whole(1),
  // The largest single-precision number.
  allocation_ratio: Type.Number({ minimum: 0, maximum: 3.40282e38 }),
}
const inventoryBody = closed(inventory, ["total"])
export type InventoryBody = Static<typeof inventoryBody>
export const createInventoryBody = closed(
  { ...inventory, resource_class: Type.String({ pattern: classKey }) },
  ["total", "resource_class"],
)
export const updateInventoryBody = closed(inventory, ["total", "resource_provider_generation"])
export const replaceInventoriesBody = closed(
  { resource_provider_generation: generation, inventories: dictionary(classKey, inventoryBody) },
  ["resource_provider_generation", "inventories"],
)

export const resourceClassBody = closed(
  { name: Type.String({ pattern: "^CUSTOM_[A-Z0-9_]+$", maxLength: 255 }) },
  ["name"],
)

const aggregates = Type.Array(uuid, { uniqueItems: true })
export const aggregatesBody = versions({
  "1.1": aggregates,
  "1.19": closed({ aggregates, resource_provider_generation: generation }, [
    "aggregates",
    "resource_provider_generation",
  ]),
})

const traits = Type.Array(Type.String({ pattern: classKey, maxLength: 255 }), { uniqueItems: true })
export const providerTraitsBody = closed({ traits, resource_provider_generation: generation }, [
  "traits",
  "resource_provider_generation",
])

const resources = dictionary(classKey, whole(1), { minProperties: 1 })
const ownerId = Type.String({ minLength: 1, maxLength: 255 })
const owner = { project_id: ownerId, user_id: ownerId }
const allocationList = Type.Array(
  closed({ resource_provider: closed({ uuid }, ["uuid"]), resources }, ["resource_provider", "resources"]),
  { minItems: 1 },
)
const allocationMap = (minProperties: number) =>
  dictionary(uuidKey, closed({ generation, resources }, ["resources"]), { minProperties })
const mappings = Type.Record(
  Type.String({ pattern: "^[a-zA-Z0-9_-]{0,64}$" }),
  Type.Array(uuid, { minItems: 1 }),
  { minProperties: 1 },
)

const allocations = { ...owner, allocations: allocationMap(0) }
const since128 = { ...allocations, consumer_generation: typed(["integer", "null"]) }
const since134 = { ...since128, mappings }
const since138 = {
  ...since134,
  consumer_type: Type.String({ pattern: classKey, minLength: 1, maxLength: 255 }),
}
const named = ["allocations", "project_id", "user_id"] as const
const consumer = {
  "1.13": closed(allocations, named),
  "1.28": closed(since128, [...named, "consumer_generation"]),
  "1.34": closed(since134, [...named, "consumer_generation"]),
  "1.38": closed(since138, [...named, "consumer_generation", "consumer_type"]),
}

export const setAllocationsBody = versions({
  "1.0": closed({ allocations: allocationList }, ["allocations"]),
  "1.8": closed({ ...owner, allocations: allocationList }, named),
  "1.12": closed({ ...owner, allocations: allocationMap(1) }, named),
  "1.28": consumer["1.28"],
  "1.34": consumer["1.34"],
  "1.38": consumer["1.38"],
})
export type ConsumerBody = BodyOf<typeof setAllocationsBody>

const byConsumer = <T extends TSchema>(schema: T, minProperties: number) =>
  dictionary(uuidKey, schema, { minProperties })

export const manageAllocationsBody = versions({
  "1.13": byConsumer(consumer["1.13"], 1),
  "1.28": byConsumer(consumer["1.28"], 1),
  "1.34": byConsumer(consumer["1.34"], 1),
  "1.38": byConsumer(consumer["1.38"], 1),
})

const reshaped = <T extends TSchema>(schema: T) =>
  closed({ inventories: dictionary(uuidKey, replaceInventoriesBody), allocations: byConsumer(schema, 0) }, [
    "inventories",
    "allocations",
  ])
export const reshaperBody = versions({
  "1.30": reshaped(consumer["1.28"]),
  "1.34": reshaped(consumer["1.34"]),
  "1.38": reshaped(consumer["1.38"]),
})
