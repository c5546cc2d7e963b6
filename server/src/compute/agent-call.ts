// Commands to the agent of a host. Every command that changes something carries the fence (ADR 9).
import { type AgentCommands, agentTopic } from "../agent/protocol.ts"
import type { Platform } from "../platform/context/context.ts"

type Method = keyof AgentCommands

/** Commands that copy or boot: they get the longer time. */
const slow: ReadonlySet<Method> = new Set<Method>(["vm.ensure", "vm.reboot", "vm.snapshot", "vm.stop"])

export function agentTimeoutMs(platform: Platform, method: Method): number {
  const { agentStartTimeoutMs, agentCallTimeoutMs } = platform.config.compute
  return slow.has(method) ? agentStartTimeoutMs : agentCallTimeoutMs
}

export async function callAgent<M extends Method>(
  platform: Platform,
  host: string,
  method: M,
  args: AgentCommands[M]["args"],
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<AgentCommands[M]["result"]> {
  const answer = await platform.bus.call(agentTopic(host), method, args, {
    timeoutMs: options.timeoutMs ?? agentTimeoutMs(platform, method),
    ...(options.signal ? { signal: options.signal } : {}),
  })
  // The agent answers in the types of the protocol that both sides import.
  return answer as AgentCommands[M]["result"]
}
