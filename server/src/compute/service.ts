import type { Service } from "../engine/service.ts"
import { aggregatePolicies } from "./aggregate/policy.ts"
import "./config.ts"
import { flavorPolicies } from "./flavor/policy.ts"
import { seedFlavors } from "./flavor/seed.ts"
import { machinesReconciler } from "./host/machines.reconciler.ts"
import { workForHosts } from "./host/work.ts"
import { keypairPolicies } from "./keypair/policy.ts"
import { computeApi, computeV20Api } from "./openstack-v2/index.ts"
import { hostPolicies, serverPolicies } from "./policy.ts"
import { quotaPolicies } from "./quota/policy.ts"
import { computeQuota } from "./quota/resources.ts"
import { startScheduler } from "./schedule/start.ts"
import { pruneReconciler } from "./server/prune.reconciler.ts"
import { reclaimReconciler } from "./server/reclaim.reconciler.ts"
import { serverSagas } from "./server/sagas.ts"
import { serverGroupPolicies } from "./server-group/policy.ts"
import type {} from "./tables.ts"
import { usagePolicies } from "./usage/policy.ts"

/** Servers and what they are made of and stand on. */
export const computeService: Service = {
  name: "compute",
  apis: [computeApi, computeV20Api],
  catalog: { type: "compute", name: "nova", path: "/compute/v2.1" },
  classicPorts: [{ port: 8774, mount: "/compute" }],
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
  quota: computeQuota,
  sagas: serverSagas,
  reconcilers: [machinesReconciler, pruneReconciler, reclaimReconciler],
  seed: seedFlavors,
  start: startScheduler,
  work: workForHosts,
}
