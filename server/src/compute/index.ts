// Servers, flavors, key pairs, hosts: what other parts of the program may use of the compute service.
import type { Service } from "../engine/service.ts"
import { aggregatePolicies } from "./aggregate/policy.ts"
import "./config.ts"
import { flavorPolicies } from "./flavor/policy.ts"
import { seedFlavors } from "./flavor/seed.ts"
import { machinesReconciler } from "./host/machines.reconciler.ts"
import { workForHosts } from "./host/work.ts"
import { keypairPolicies } from "./keypair/policy.ts"
import { hostPolicies, serverPolicies } from "./policy.ts"
import { quotaPolicies } from "./quota/policy.ts"
import { pruneReconciler } from "./server/prune.reconciler.ts"
import { serverSagas } from "./server/sagas.ts"
import { serverGroupPolicies } from "./server-group/policy.ts"
import { startCompute } from "./start.ts"
import type {} from "./tables.ts"
import { usagePolicies } from "./usage/policy.ts"

export function createCompute(): Service {
  return {
    name: "compute",
    policies: [
      ...serverPolicies,
      ...hostPolicies,
      ...flavorPolicies,
      ...keypairPolicies,
      ...quotaPolicies,
      ...aggregatePolicies,
      ...serverGroupPolicies,
      ...usagePolicies,
    ],
    sagas: serverSagas,
    reconcilers: [machinesReconciler, pruneReconciler],
    seed: seedFlavors,
    start: startCompute,
    work: workForHosts,
  }
}

export { isAdmin } from "./admin.ts"
export { type Aggregate, zoneOfAggregate } from "./aggregate/aggregate.ts"
export {
  addAggregateHost,
  createAggregate,
  deleteAggregate,
  listAggregates,
  removeAggregateHost,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
} from "./aggregate/change.ts"
export {
  addFlavorAccess,
  createFlavor,
  deleteFlavor,
  deleteFlavorExtraSpec,
  getFlavorExtraSpecs,
  listFlavorAccess,
  removeFlavorAccess,
  setFlavorExtraSpecs,
  showFlavor,
  updateFlavor,
} from "./flavor/change.ts"
export { type Flavor, findFlavor } from "./flavor/flavor.ts"
export { listFlavors } from "./flavor/list.ts"
export { type Adopted, adoptMachine } from "./host/adopt.ts"
export {
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
export { listMigrations } from "./migration/list.ts"
export type { Migration } from "./migration/migration.ts"
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
  listServerGroups,
  showServerGroup,
} from "./server-group/change.ts"
export { type GroupPolicy, groupPolicies, type ServerGroup } from "./server-group/server-group.ts"
export { listProjectUsages, showProjectUsage, type UsagePage } from "./usage/list.ts"
export type { ProjectUsage, ServerUsage } from "./usage/usage.ts"
