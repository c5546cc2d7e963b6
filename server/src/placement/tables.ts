import type { ColumnType, Generated, GeneratedAlways } from "kysely"

/** Set by the database when not given. */
type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>

export interface ResourceProviderTable {
  id: string
  name: string
  generation: Generated<number>
  root_id: string
  parent_id: string | null
  created_at: Timestamp
  updated_at: Timestamp
}

export interface InventoryTable {
  provider_id: string
  resource_class: string
  total: number
  reserved: number
  min_unit: number
  max_unit: number
  step_size: number
  allocation_ratio: number
  used: Generated<number>
  capacity: GeneratedAlways<number>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface ProviderAggregateTable {
  provider_id: string
  aggregate_id: string
  as_given: string | null
}

export interface ProviderTraitTable {
  provider_id: string
  trait: string
}

export interface CustomTraitTable {
  name: string
  created_at: Timestamp
}

export interface CustomResourceClassTable {
  name: string
  created_at: Timestamp
  updated_at: Timestamp
}

export interface ConsumerTable {
  id: string
  project_id: string
  user_id: string
  consumer_type: string | null
  generation: Generated<number>
  created_at: Timestamp
  updated_at: Timestamp
}

export interface AllocationTable {
  consumer_id: string
  provider_id: string
  resource_class: string
  used: number
  created_at: Timestamp
}

declare module "../platform/db/database.ts" {
  interface Database {
    "placement.resource_provider": ResourceProviderTable
    "placement.inventory": InventoryTable
    "placement.provider_aggregate": ProviderAggregateTable
    "placement.provider_trait": ProviderTraitTable
    "placement.custom_trait": CustomTraitTable
    "placement.custom_resource_class": CustomResourceClassTable
    "placement.consumer": ConsumerTable
    "placement.allocation": AllocationTable
  }
}
