// Limits of the network service under Neutron's resource names.
import { sql } from "kysely"
import type { Config } from "../platform/config/config.ts"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import { declareQuotaDefaults, enforceQuota } from "../quota/index.ts"

const counts = {
  network: sql`select count(*) from network.network where project_id = p.id`,
  subnet: sql`select count(*) from network.subnet where project_id = p.id`,
  subnetpool: sql`select count(*) from network.subnet_pool where project_id = p.id`,
  port: sql`select count(*) from network.port where project_id = p.id`,
  router: sql`select count(*) from network.router where project_id = p.id`,
  floatingip: sql`select count(*) from network.floating_ip where project_id = p.id`,
  security_group: sql`select count(*) from network.security_group where project_id = p.id`,
  security_group_rule: sql`select count(*) from network.security_group_rule where project_id = p.id`,
  rbac_policy: sql`select count(*) from network.rbac_policy where project_id = p.id`,
} as const

export type QuotaResource = keyof typeof counts
export const quotaResources = Object.keys(counts) as readonly QuotaResource[]
export const quotaService = "network"

export function declareNetworkQuotas(config: Config["network"]): void {
  declareQuotaDefaults(quotaService, {
    network: config.quotaNetworks,
    subnet: config.quotaSubnets,
    subnetpool: config.quotaSubnetPools,
    port: config.quotaPorts,
    router: config.quotaRouters,
    floatingip: config.quotaFloatingIps,
    security_group: config.quotaSecurityGroups,
    security_group_rule: config.quotaSecurityGroupRules,
    rbac_policy: config.quotaRbacPolicies,
  } satisfies Record<QuotaResource, number>)
}

async function countUsed(db: DbOrTx, resource: QuotaResource, projectId: string): Promise<number> {
  const { rows } = await sql<{ used: number }>`
    select (${counts[resource]}) as used from (select ${projectId}::text as id) p`.execute(db)
  return rows[0]?.used ?? 0
}

/** One more of the resource for each owner named (an owner may be named more than once). */
export async function enforceNetworkQuota(
  tx: Tx,
  resource: QuotaResource,
  owners: readonly string[],
): Promise<void> {
  // In one order everywhere, so that two bulk requests cannot wait for each other.
  for (const projectId of [...new Set(owners)].filter((o) => o !== "").sort()) {
    const add = owners.filter((owner) => owner === projectId).length
    await enforceQuota(tx, {
      projectId,
      service: quotaService,
      wanted: { [resource]: { add, used: () => countUsed(tx, resource, projectId) } },
    })
  }
}

/** What the project uses of every resource, in one statement. */
export async function networkUsage(db: DbOrTx, projectId: string): Promise<Record<QuotaResource, number>> {
  const parts = quotaResources.map((r) => sql`(${counts[r]}) as ${sql.id(r)}`)
  const { rows } = await sql<Record<QuotaResource, number>>`
    select ${sql.join(parts)} from (select ${projectId}::text as id) p`.execute(db)
  const [row] = rows
  if (!row) throw new Error("a count gives a row")
  return row
}
