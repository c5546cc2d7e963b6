// What is done to the system in a machine, without changing the machine.
import { type AgentContext, existing, handleOf } from "./context.ts"
import { agentAbilityMissing } from "./faults.ts"
import { canReachGuests } from "./hypervisor/hypervisor.ts"
import type { VmSpec } from "./protocol.ts"

type Nothing = Record<string, never>

export async function interruptGuest(context: AgentContext, serverId: string): Promise<Nothing> {
  const { hypervisor } = context
  const handle = handleOf(context, serverId, existing(context, serverId))
  if (!canReachGuests(hypervisor)) throw agentAbilityMissing(hypervisor.name, "interrupt a guest")
  await hypervisor.injectNmi(handle)
  return {}
}

export async function setGuestPassword(
  context: AgentContext,
  { serverId, password }: { serverId: string; password: string },
): Promise<Nothing> {
  const { hypervisor } = context
  const record = existing(context, serverId)
  if (!canReachGuests(hypervisor)) throw agentAbilityMissing(hypervisor.name, "set a guest's password")
  await hypervisor.setPassword(handleOf(context, serverId, record), administratorOf(record.spec), password)
  return {}
}

/** As the image names it. */
function administratorOf({ properties }: VmSpec): string {
  return properties.os_admin_user ?? (properties.os_type === "windows" ? "Administrator" : "root")
}
