import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import { tellGateways } from "../gateway/gateway.ts"
import { syncOf } from "./sync.ts"

const timeoutMs = 300_000

/** Changes are carried to the engine when they are made; this one finds what was lost on the way. */
export function networkReconciler(intervalMs: number): Reconciler {
  return {
    name: "network.engine",
    intervalMs,
    timeoutMs,
    run: async (platform) => {
      await tellGateways(platform)
      return { ...(await syncOf(platform).compare()) }
    },
  }
}
