// A guest's own end, or what else its machine tells of: the record follows, and the cloud is told.
import { type AgentContext, handleOf, noteState } from "./context.ts"
import type { PowerState } from "./protocol.ts"

/** Follows a machine's event: what it really is now, told when it is not what was told last. */
export async function followState(context: AgentContext, serverId: string): Promise<PowerState | null> {
  const record = context.machines.get(serverId)
  if (!record) return null
  const state = await context.hypervisor.inspect(handleOf(context, serverId, record))
  if (state.power === record.state.power) return null
  await noteState(context, record, state)
  return state.power
}
