// Commands of what takes no task: they may run beside each other and be overtaken by tasks, and the host refuses what
// was overtaken. Then the command is sent again in a turn of its own, when no task has the server.
import type { Fence } from "../../agent/protocol.ts"
import type { StepContext } from "../../engine/saga/saga.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { serverSuperseded } from "../faults.ts"
import { selectServer, takeTurn } from "./store.ts"
import type { TaskParams } from "./task.ts"

export interface HostTaskParams extends TaskParams {
  host: string
}

type Step = StepContext<HostTaskParams, object>

export type Command = (fence: Fence) => Promise<unknown>

const askEveryMs = 250

/** At first as the request has claimed the server. Throws `serverSuperseded` when it has left the host. */
export async function commandInTurn(s: Step, command: Command): Promise<void> {
  if (await isTaken(command({ generation: s.params.generation, fence: s.fence }))) return
  await commandInNewTurn(s, command)
}

/** After all that has been begun before: no task that has seen other rows comes to the host later. */
export async function commandInNewTurn(s: Step, command: Command): Promise<void> {
  for (;;) {
    const generation = await nextTurn(s)
    if (await isTaken(command({ generation, fence: s.fence }))) return
  }
}

async function nextTurn(s: Step): Promise<number> {
  const { serverId, host } = s.params
  for (;;) {
    s.signal.throwIfAborted()
    const server = await selectServer(s.ctx.db, serverId)
    if (server?.host !== host) throw serverSuperseded(serverId)
    const generation = await s.transact((tx) => takeTurn(tx, server))
    if (generation !== undefined) return generation
    await s.ctx.clock.sleep(askEveryMs, s.signal)
  }
}

async function isTaken(call: Promise<unknown>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    if (error instanceof Fault && error.code === "agent.fence.stale") return false
    throw error
  }
}
