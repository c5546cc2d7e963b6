import { sql } from "kysely"
import { type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { inventoryInUse, providerInUse, providerNameTaken } from "../faults.ts"

export interface HostInventory {
  total: number
  /** Default 0. */
  reserved?: number
  /** Default 1. */
  allocationRatio?: number
  minUnit?: number
  /** Default: the total. */
  maxUnit?: number
  stepSize?: number
}

export interface HostProvider {
  hostId: string
  name: string
  /**
   * All that the host has of standard classes: one that is not named is removed (fault when somebody holds some of it).
   * Custom classes are the operator's.
   */
  inventories: Readonly<Record<string, HostInventory>>
  /** All COMPUTE_ and HW_ traits that the host has; others are the operator's. Absent leaves all alone. */
  traits?: readonly string[]
}

/** Makes the provider of a host equal to what the host says about itself. Repeatable; says whether anything changed. */
export async function ensureHostProvider(tx: Tx, host: HostProvider): Promise<{ isChanged: boolean }> {
  let changes = await ensureProvider(tx, host)
  changes += await ensureInventories(tx, host)
  if (host.traits) changes += await ensureTraits(tx, host.hostId, host.traits)
  if (changes === 0) return { isChanged: false }
  await sql`
    update placement.resource_provider set generation = generation + 1, updated_at = now()
    where id = ${host.hostId}`.execute(tx)
  return { isChanged: true }
}

/** Removes the provider of a host that is no more. Repeatable. */
export async function removeHostProvider(tx: Tx, hostId: string): Promise<void> {
  const used = await sql`
    select from placement.allocation where provider_id in
      (select id from placement.resource_provider where root_id = ${hostId}) limit 1`.execute(tx)
  if (used.rows.length > 0) throw providerInUse(hostId)
  // Children first: a parent may not go before them.
  for (;;) {
    const gone = await sql`
      delete from placement.resource_provider p where p.root_id = ${hostId}
        and not exists (select from placement.resource_provider c where c.parent_id = p.id)`.execute(tx)
    if (!gone.numAffectedRows) return
  }
}

async function ensureProvider(tx: Tx, host: HostProvider): Promise<number> {
  try {
    const done = await sql`
      insert into placement.resource_provider (id, name, root_id) values (${host.hostId}, ${host.name}, ${host.hostId})
      on conflict (id) do update set name = excluded.name
        where placement.resource_provider.name <> excluded.name`.execute(tx)
    return Number(done.numAffectedRows ?? 0)
  } catch (error) {
    if (violatedConstraint(error) === "resource_provider_name_key")
      throw providerNameTaken(`name: ${host.name}`)
    throw error
  }
}

async function ensureInventories(tx: Tx, host: HostProvider): Promise<number> {
  const rows = Object.entries(host.inventories).map(([resourceClass, inventory]) => ({
    resource_class: resourceClass,
    total: inventory.total,
    reserved: inventory.reserved ?? 0,
    min_unit: inventory.minUnit ?? 1,
    max_unit: inventory.maxUnit ?? inventory.total,
    step_size: inventory.stepSize ?? 1,
    allocation_ratio: inventory.allocationRatio ?? 1,
  }))
  const written = await sql`
    insert into placement.inventory
      (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
    select ${host.hostId}::uuid, r.* from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r
      (resource_class text, total bigint, reserved bigint, min_unit bigint, max_unit bigint, step_size bigint,
       allocation_ratio double precision)
    on conflict (provider_id, resource_class) do update set total = excluded.total, reserved = excluded.reserved,
      min_unit = excluded.min_unit, max_unit = excluded.max_unit, step_size = excluded.step_size,
      allocation_ratio = excluded.allocation_ratio, updated_at = now()
    where (inventory.total, inventory.reserved, inventory.min_unit, inventory.max_unit, inventory.step_size,
        inventory.allocation_ratio)
      is distinct from (excluded.total, excluded.reserved, excluded.min_unit, excluded.max_unit, excluded.step_size,
        excluded.allocation_ratio)`.execute(tx)
  const names = rows.map((r) => r.resource_class)
  try {
    const gone = await sql`
      delete from placement.inventory
      where provider_id = ${host.hostId} and resource_class <> all(${names}::text[])
        and resource_class !~ '^CUSTOM_'`.execute(tx)
    return Number(written.numAffectedRows ?? 0) + Number(gone.numAffectedRows ?? 0)
  } catch (error) {
    if (violatedConstraint(error)) throw inventoryInUse("a class that the host no longer has", host.hostId)
    throw error
  }
}

async function ensureTraits(tx: Tx, hostId: string, traits: readonly string[]): Promise<number> {
  const custom = traits.filter((t) => t.startsWith("CUSTOM_"))
  if (custom.length > 0) {
    await sql`
      insert into placement.custom_trait (name) select unnest(${custom}::text[]) on conflict do nothing`.execute(
      tx,
    )
  }
  const added = await sql`
    insert into placement.provider_trait (provider_id, trait)
    select ${hostId}::uuid, unnest(${[...traits]}::text[])
    on conflict do nothing`.execute(tx)
  const gone = await sql`
    delete from placement.provider_trait
    where provider_id = ${hostId} and trait <> all(${[...traits]}::text[]) and trait ~ '^(COMPUTE|HW)_'`.execute(
    tx,
  )
  return Number(added.numAffectedRows ?? 0) + Number(gone.numAffectedRows ?? 0)
}
