import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import { listKeys, rotateKeys } from "./rotate.ts"

const intervalMs = 600_000

/** The rings whose messages end by themselves; credentials are encrypted anew only when an operator asks for it. */
const rings = ["token", "receipt"] as const

/** Rotates keys that have signed for long enough (`identity.keyRotationSeconds`). */
export const keyRotationReconciler: Reconciler = {
  name: "identity.key_rotation",
  intervalMs,
  timeoutMs: 60_000,
  run: async (platform) => {
    const ageMsMost = platform.config.identity.keyRotationSeconds * 1000
    const known = await listKeys(platform)
    const rotated: string[] = []
    for (const ring of rings) {
      const primary = known.find((key) => key.ring === ring && key.role === "primary")
      const ageMs = platform.clock.now().getTime() - (primary?.primaryAt?.getTime() ?? 0)
      if (ageMsMost === 0 || ageMs < ageMsMost) continue
      await rotateKeys(platform, ring)
      rotated.push(ring)
    }
    return { keys: known.length, rotated }
  },
}
