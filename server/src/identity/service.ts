import type { Service } from "../engine/service.ts"
import type { Platform } from "../platform/context/context.ts"
import { publishLogins } from "./audit/audit.ts"
import { listenForChanges } from "./change.ts"
import type {} from "./config.ts"
import { keyRotationReconciler } from "./keys/rotation.reconciler.ts"
import { identityV2Api } from "./openstack-v2/index.ts"
import { identityV3Api } from "./openstack-v3/index.ts"
import { identityPolicies } from "./policy/index.ts"
import { identityPruneReconciler } from "./prune.reconciler.ts"
import { seedIdentity } from "./seed.ts"
import type {} from "./tables.ts"

/** Who may do what where. What it keeps in memory is `drivers.identity`: the HTTP edge needs it, too. */
export const identityService: Service = {
  name: "identity",
  apis: [identityV3Api, identityV2Api],
  catalog: { type: "identity", name: "keystone", path: "/identity" },
  // The port of every API besides, for what is below /v3 at the root.
  classicPorts: [
    { port: 5000, mount: "" },
    { port: 35_357, mount: "" },
  ],
  policies: identityPolicies,
  sagas: [],
  reconcilers: [keyRotationReconciler, identityPruneReconciler],
  seed: seedIdentity,
  start: startBeside,
}

/** What runs beside the requests of each process. */
async function startBeside(platform: Platform): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  stack.use(listenForChanges(platform))
  stack.use(await publishLogins(platform))
  return stack.move()
}
