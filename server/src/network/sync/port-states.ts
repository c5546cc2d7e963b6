// Ports are ACTIVE when the engine says that packets can flow; what came together is written together.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"

const retryMs = 1_000

/** Follows the engine's port states until disposed. */
export function followPortStates(platform: Platform): AsyncDisposable {
  const end = new AbortController()
  const done = follow(platform, end.signal)
  return {
    async [Symbol.asyncDispose]() {
      end.abort()
      await done
    },
  }
}

async function follow(platform: Platform, signal: AbortSignal): Promise<void> {
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

async function writeStates(platform: Platform, states: ReadonlyMap<string, boolean>): Promise<void> {
  await sql`update network.port p set status = w.status, updated_at = now()
    from (select x.id, case when x.is_up and q.is_admin_up then 'ACTIVE' else 'DOWN' end as status
      from unnest(${[...states.keys()]}::uuid[], ${[...states.values()]}::boolean[]) x(id, is_up)
      join network.port q on q.id = x.id
      where q.device_owner not in ('network:floatingip', 'network:router_gateway')) w
    where p.id = w.id and p.status <> w.status`.execute(platform.db)
}
