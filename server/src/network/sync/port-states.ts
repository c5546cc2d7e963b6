// Ports are ACTIVE when the engine says that packets can flow; what came together is written together.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { NetworkDriver } from "../driver/network-driver.ts"
import { virtual } from "./want.ts"

const retryMs = 1_000

interface Parts extends Pick<Platform, "db" | "clock" | "log"> {
  readonly drivers: Pick<Platform["drivers"], "network">
}

/** Who waits for a port of the engine to be up, by the port; there while its states are followed. */
const waiting = new WeakMap<NetworkDriver, Map<string, Set<() => void>>>()

/** Follows the engine's port states until disposed. */
export function followPortStates(platform: Parts): AsyncDisposable {
  const end = new AbortController()
  const done = follow(platform, end.signal)
  waiting.set(platform.drivers.network, new Map())
  return {
    async [Symbol.asyncDispose]() {
      end.abort()
      waiting.delete(platform.drivers.network)
      await done
    },
  }
}

/**
 * Whether these are up, when they are, or when the time is over. It costs nothing to wait: the engine says so without
 * being asked. Where nobody listens to it there is nothing to wait for.
 */
export async function arePortsUp(
  { drivers: { network }, clock }: Pick<Parts, "drivers" | "clock">,
  portIds: readonly string[],
  { withinMs, signal }: { withinMs: number; signal: AbortSignal },
): Promise<boolean> {
  const waiters = waiting.get(network)
  const down = new Set(waiters ? portIds.filter((portId) => !network.isPortUp(portId)) : [])
  if (!waiters || down.size === 0) return true
  const end = new AbortController()
  const over = AbortSignal.any([end.signal, signal])
  const wakes = [...down].map((portId) => {
    const wake = () => {
      down.delete(portId)
      if (down.size === 0) end.abort()
    }
    const own = waiters.get(portId) ?? new Set()
    waiters.set(portId, own.add(wake))
    return () => {
      own.delete(wake)
      if (own.size === 0) waiters.delete(portId)
    }
  })
  try {
    await clock.sleep(withinMs, over).catch(() => {})
    return down.size === 0
  } finally {
    for (const leave of wakes) leave()
  }
}

async function follow(platform: Parts, signal: AbortSignal): Promise<void> {
  const { log, clock, drivers } = platform
  while (!signal.aborted) {
    const pending = new Map<string, boolean>()
    let writing: Promise<void> | undefined
    const write = async () => {
      while (pending.size > 0) {
        const batch = new Map(pending)
        pending.clear()
        await writeStates(platform, batch)
      }
    }
    try {
      for await (const { portId, isUp } of drivers.network.portStates(signal)) {
        pending.set(portId, isUp)
        if (isUp) for (const wake of waiting.get(drivers.network)?.get(portId) ?? []) wake()
        writing ??= write()
          .catch((error: unknown) =>
            log.warn({ error: describeError(error) }, "port states were not written"),
          )
          .finally(() => {
            writing = undefined
          })
      }
    } catch (error) {
      if (!signal.aborted)
        log.warn({ error: describeError(error) }, "the engine's port states ended; asked again")
    }
    await writing
    if (!signal.aborted) await clock.sleep(retryMs, signal).catch(() => {})
  }
}

/**
 * A port that is bound nowhere is DOWN whatever is heard of it: what the engine said before the port was let go may
 * come after that. A virtual port has no host of its own; the engine alone knows whether it is up.
 */
async function writeStates({ db }: Parts, states: ReadonlyMap<string, boolean>): Promise<void> {
  // Of the row that is written, not of a second look at it: its port may be let go meanwhile.
  const status = sql`case when x.is_up and p.is_admin_up and (p.host_id <> '' or ${virtual} is not null)
      then 'ACTIVE' else 'DOWN' end`
  await sql`update network.port p set status = ${status}, updated_at = now()
    from unnest(${[...states.keys()]}::uuid[], ${[...states.values()]}::boolean[]) x(id, is_up)
    where p.id = x.id and p.device_owner not in ('network:floatingip', 'network:router_gateway')
      and p.status <> ${status}`.execute(db)
}
