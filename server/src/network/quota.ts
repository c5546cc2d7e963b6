// Limits of the network service under Neutron's resource names.
import { sql } from "kysely"
import type { Config } from "../platform/config/config.ts"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import { declareQuotaDefaults, lockLimit, quotaExceeded } from "../quota/index.ts"

/** The rows that count, each owned by its `project_id`. */
const tables = {
  network: sql`network.network`,
  subnet: sql`network.subnet`,
  subnetpool: sql`network.subnet_pool`,
  port: sql`network.port`,
  router: sql`network.router`,
  floatingip: sql`network.floating_ip`,
  security_group: sql`network.security_group`,
  security_group_rule: sql`network.security_group_rule`,
  rbac_policy: sql`network.rbac_policy`,
} as const

export type QuotaResource = keyof typeof tables
export const quotaResources = Object.keys(tables) as readonly QuotaResource[]
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

/** Not more than `most`: a project with very many things is not to pay for each of them at each creation. */
async function countUsed(tx: Tx, resource: QuotaResource, projectId: string, most: number): Promise<number> {
  const { rows } = await sql<{ used: number }>`select count(*) as used from (
    select from ${tables[resource]} where project_id = ${projectId} limit ${most}) found`.execute(tx)
  return rows[0]?.used ?? 0
}

/** Room for one more of the resource for each owner named (an owner may be named more than once). */
export async function enforceNetworkQuota(
  tx: Tx,
  resource: QuotaResource,
  owners: readonly string[],
): Promise<void> {
  await enforce(tx, resource, owners, 0)
}

/**
 * The same for what the transaction has made already, one for each owner named: last in the transaction, so that the
 * project's other creations wait for a count and a commit and for nothing else.
 */
export async function enforceNetworkQuotaOfMade(
  tx: Tx,
  resource: QuotaResource,
  owners: readonly string[],
): Promise<void> {
  await enforce(tx, resource, owners, 1)
}

async function enforce(
  tx: Tx,
  resource: QuotaResource,
  owners: readonly string[],
  made: 0 | 1,
): Promise<void> {
  // In one order everywhere, so that two bulk requests cannot wait for each other.
  for (const projectId of [...new Set(owners)].filter((o) => o !== "").sort()) {
    const limit = await lockLimit(tx, { projectId, service: quotaService }, resource)
    if (limit < 0) continue
    const asked = owners.filter((owner) => owner === projectId).length
    const used = (await countUsed(tx, resource, projectId, limit + asked + 1)) - made * asked
    if (used + asked > limit) throw quotaExceeded([{ resource, asked, used, limit }])
  }
}

/** What the project uses of every resource, in one statement. */
export async function networkUsage(db: DbOrTx, projectId: string): Promise<Record<QuotaResource, number>> {
  const parts = quotaResources.map(
    (r) => sql`(select count(*) from ${tables[r]} where project_id = ${projectId}) as ${sql.id(r)}`,
  )
  const { rows } = await sql<Record<QuotaResource, number>>`
    select ${sql.join(parts)}`.execute(db)
  const [row] = rows
  if (!row) throw new Error("a count gives a row")
  return row
}
