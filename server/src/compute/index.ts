// Servers, flavors, key pairs, hosts: what other parts of the program may use of the compute service.
import type { Service } from "../engine/service.ts"
import type {} from "./config.ts"
import { hostPolicies, serverPolicies } from "./policy.ts"
import type {} from "./tables.ts"

export function createCompute(): Service {
  return {
    name: "compute",
    policies: [...serverPolicies, ...hostPolicies],
    sagas: [],
    reconcilers: [],
  }
}
