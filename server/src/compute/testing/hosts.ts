// Hosts as rows, with their providers, for tests and benches of the scheduler: no process is behind them.
import { sql } from "kysely"
import type { Db } from "../../platform/db/database.ts"

export interface HostRows {
  count: number
  vcpus?: number
  ramMib?: number
  diskGib?: number
  /** Ratio of virtual CPUs. */
  ratio?: number
}

/** `host-1` … of one size. */
export async function insertHosts(db: Db, rows: HostRows): Promise<void> {
  const { count, vcpus = 16, ramMib = 65_536, diskGib = 1_000, ratio = 1 } = rows
  const description = {
    ...{ hypervisorType: "fake", hypervisorVersion: 1, hostIp: "192.0.2.1", vcpus, ramMib, diskGib },
    cpuInfo: { arch: "x86_64", features: ["avx"] },
  }
  await sql`
    with host as (
      insert into compute.host (name, id, service_id, description, last_seen_at)
      select 'host-' || i, gen_random_uuid(), gen_random_uuid(), ${JSON.stringify(description)}::jsonb, now()
      from generate_series(1, ${count}::int) i returning id, name
    ), provider as (
      insert into placement.resource_provider (id, name, root_id) select id, name, id from host returning id
    )
    insert into placement.inventory
      (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
    select provider.id, has.*, 0, 1, has.total, 1, case has.name when 'VCPU' then ${ratio}::float8 else 1 end
    from provider, (values ('VCPU', ${vcpus}::bigint), ('MEMORY_MB', ${ramMib}::bigint),
      ('DISK_GB', ${diskGib}::bigint)) as has (name, total)`.execute(db)
}
