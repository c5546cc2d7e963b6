// What other parts of the program may use of the compute service: servers, flavors, key pairs, hosts.
import "./config.ts"
import type {} from "./tables.ts"

export { isAdmin } from "./admin.ts"
export {
  type Aggregate,
  createAggregate,
  deleteAggregate,
  listAggregates,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
} from "./aggregate/aggregate.ts"
export { addAggregateHost, removeAggregateHost } from "./aggregate/host.ts"
export { addFlavorAccess, type FlavorAccess, listFlavorAccess, removeFlavorAccess } from "./flavor/access.ts"
export {
  createFlavorExtraSpecs,
  deleteFlavorExtraSpec,
  listFlavorExtraSpecs,
  showFlavorExtraSpec,
  updateFlavorExtraSpec,
} from "./flavor/extra-specs.ts"
export {
  createFlavor,
  deleteFlavor,
  type Flavor,
  findFlavor,
  flavorNoun,
  listFlavors,
  showFlavor,
  updateFlavor,
} from "./flavor/flavor.ts"
export { type Adopted, adoptMachine } from "./host/adopt.ts"
export {
  countMachinesAside,
  discardUnknownMachine,
  type Finding,
  type HostFindings,
  listUnknownMachines,
} from "./host/unknown.ts"
export {
  createKeypair,
  deleteKeypair,
  findKeypair,
  type Keypair,
  listKeypairs,
  showKeypair,
} from "./keypair/keypair.ts"
export { listMigrations, type Migration, migrationNoun } from "./migration/migration.ts"
export { showQuotaClass, updateQuotaClass } from "./quota/class.ts"
export {
  deleteQuota,
  type QuotaDetail,
  showDefaultQuota,
  showLimits,
  showQuota,
  showQuotaDetail,
  updateQuota,
} from "./quota/quota.ts"
export type { QuotaLimits, QuotaResource } from "./quota/resources.ts"
export * from "./server/index.ts"
export {
  createServerGroup,
  deleteServerGroup,
  type GroupPolicy,
  groupPolicies,
  listServerGroups,
  type ServerGroup,
  showServerGroup,
} from "./server-group/server-group.ts"
export { showLastUsageAudit, showUsageAudit, type UsageAudit } from "./usage/audit-log.ts"
export { listProjectUsages, showProjectUsage, type UsagePage } from "./usage/read.ts"
export type { ProjectUsage, ServerUsage } from "./usage/usage.ts"
