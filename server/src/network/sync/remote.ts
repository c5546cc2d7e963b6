// The engine of a process that answers requests only: the process that works has it, and is asked over the bus.
import type { Bus } from "../../platform/bus/bus.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { NetworkDriver, ReconcileReport } from "../driver/network-driver.ts"
import type { Changed } from "./changes.ts"
import { type NetworkSync, syncOf } from "./sync.ts"

const topic = "network.engine"
/** A large network takes its time; a request that waits longer has long been given up by its client. */
const settleTimeoutMs = 60_000
const healthTimeoutMs = 5_000

/** In the process that works: answers those that have no engine. */
export async function serveNetworkEngine(platform: Platform): Promise<AsyncDisposable> {
  return await platform.bus.serve(topic, async (method, changed) => {
    if (method === "health") return (await platform.drivers.network.health()) ?? null
    const sync = syncOf(platform)
    // From this file's remoteNetworkSync. Who settles has changed something; the poke for it may have been lost.
    const named = (changed as Changed | null) ?? undefined
    if (method === "compare") return await sync.compare()
    if (named) sync.poke(named)
    if (method !== "poke") await sync.settle(named)
    return null
  })
}

export function remoteNetworkSync(bus: Bus): NetworkSync {
  return {
    // A lost poke costs the time until the reconciler's next run.
    poke: (changed) => void bus.cast(topic, "poke", changed).catch(() => {}),
    settle: async (changed) =>
      void (await bus.call(topic, "settle", changed ?? null, { timeoutMs: settleTimeoutMs })),
    // The other side is this file's serveNetworkEngine.
    compare: async () =>
      (await bus.call(topic, "compare", null, { timeoutMs: settleTimeoutMs })) as ReconcileReport,
  }
}

/** What requests ask of an engine that is elsewhere; it is told of changes by `remoteNetworkSync`. */
export function remoteNetworkDriver(bus: Bus, name: string): NetworkDriver {
  const elsewhere = () => new Error("the network engine belongs to another process")
  return {
    name,
    change: async () => {
      throw elsewhere()
    },
    setGateways: async () => {
      throw elsewhere()
    },
    known: async () => {
      throw elsewhere()
    },
    portStates: () => {
      throw elsewhere()
    },
    isPortUp: () => {
      throw elsewhere()
    },
    health: async () =>
      ((await bus.call(topic, "health", null, { timeoutMs: healthTimeoutMs })) as string | null) ?? undefined,
    [Symbol.asyncDispose]: async () => {},
  }
}
