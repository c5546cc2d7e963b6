// Servers, flavors, key pairs, hosts: what other parts of the program may use of the compute service.
import type { Service } from "../engine/service.ts"
import "./config.ts"
import { flavorPolicies } from "./flavor/policy.ts"
import { seedFlavors } from "./flavor/seed.ts"
import { machinesReconciler } from "./host/machines.reconciler.ts"
import { listenToAgents } from "./host/report.ts"
import { keypairPolicies } from "./keypair/policy.ts"
import { hostPolicies, serverPolicies } from "./policy.ts"
import { serverSagas } from "./server/sagas.ts"
import type {} from "./tables.ts"

export function createCompute(): Service {
  return {
    name: "compute",
    policies: [...serverPolicies, ...hostPolicies, ...flavorPolicies, ...keypairPolicies],
    sagas: serverSagas,
    reconcilers: [machinesReconciler],
    seed: seedFlavors,
    start: listenToAgents,
  }
}

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
export {
  createKeypair,
  deleteKeypair,
  findKeypair,
  type Keypair,
  listKeypairs,
  showKeypair,
} from "./keypair/keypair.ts"
export * from "./server/index.ts"
