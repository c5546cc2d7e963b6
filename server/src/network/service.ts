import type { Service } from "../engine/service.ts"
import type { Platform } from "../platform/context/context.ts"
import { agentReconciler, reportAgents } from "./agent/agent.ts"
import { engineGateways } from "./gateway/gateway.ts"
import { networkApi } from "./openstack-v2/index.ts"
import { networkPolicies } from "./policy.ts"
import { networkQuota } from "./quota.ts"
import { seedNetwork } from "./seed.ts"
import { networkReconciler } from "./sync/network.reconciler.ts"
import { followPortStates } from "./sync/port-states.ts"
import { serveNetworkEngine } from "./sync/remote.ts"
import { closeSync, syncOf } from "./sync/sync.ts"
import type {} from "./tables.ts"

/** How often the engine is compared with the rows when nobody asks; changes are carried at once. */
const reconcileIntervalMs = 60_000

export const networkService: Service = {
  name: "network",
  apis: [networkApi],
  catalog: { type: "network", name: "neutron", path: "/network" },
  classicPorts: [{ port: 9696, mount: "/network" }],
  policies: networkPolicies,
  quota: networkQuota,
  sagas: [],
  reconcilers: [networkReconciler(reconcileIntervalMs), agentReconciler],
  seed: seedNetwork,
  work: workNetwork,
}

async function workNetwork(platform: Platform): Promise<AsyncDisposable> {
  const served = await serveNetworkEngine(platform)
  await reportAgents(platform, { isStart: true })
  // Before the engine is told anything else: no router moves because Kumoi starts. Told again with each comparison.
  const gateways = await engineGateways(platform)
  void platform.drivers.network.setGateways(gateways).catch(() => {})
  const states = followPortStates(platform)
  void syncOf(platform)
    .compare()
    .catch(() => {})
  return {
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]()
      await closeSync(platform)
      await states[Symbol.asyncDispose]()
    },
  }
}
