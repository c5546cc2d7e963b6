// Commands to the agent of a server's host: how long each may take, and what users are told when it does not answer.
import type { AgentCommands } from "../agent/protocol.ts"
import { type AgentMethod, sendToAgent } from "../engine/agent-call.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { isHostReachable } from "./host/reachable.ts"

/** Commands that copy or boot: they get the longer time. */
const slow: ReadonlySet<AgentMethod> = new Set<AgentMethod>([
  "vm.ensure",
  "vm.reboot",
  "vm.snapshot",
  "vm.stop",
  "vm.suspend",
])

export function agentTimeoutMs(platform: Platform, method: AgentMethod): number {
  const { agentStartTimeoutMs, agentCallTimeoutMs } = platform.config.compute
  return slow.has(method) ? agentStartTimeoutMs : agentCallTimeoutMs
}

export async function callAgent<M extends AgentMethod>(
  platform: Platform,
  host: string,
  method: M,
  args: AgentCommands[M]["args"],
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<AgentCommands[M]["result"]> {
  try {
    return await sendToAgent(platform, host, method, args, {
      timeoutMs: options.timeoutMs ?? agentTimeoutMs(platform, method),
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (error) {
    throw error instanceof Fault && error.code.startsWith("bus.") ? unanswered(error) : error
  }
}

/** The bus names who does not answer; which host that is is not the user's to know. */
function unanswered(cause: Fault): Fault {
  const { kind, code, retryAfterMs } = cause
  const text = "The host of the server does not answer now; try again."
  return new Fault(kind, code, text, { cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
}

/**
 * For undoing: removes the machine of this task. A later task that has been to the host already has decided
 * what is there, so nothing of this one is left; a host that is down is cleaned when it is back.
 */
export async function undoMachine(
  platform: Platform,
  host: string | undefined,
  command: AgentCommands["vm.destroy"]["args"],
): Promise<void> {
  if (host === undefined || !(await isHostReachable(platform, host))) return
  await unlessOvertaken(callAgent(platform, host, "vm.destroy", command))
}

/** For undoing what a command may have done: the interface is not plugged after it. */
export async function undoPlug(
  platform: Platform,
  host: string,
  command: AgentCommands["vm.unplug"]["args"],
): Promise<void> {
  await unlessOvertaken(callAgent(platform, host, "vm.unplug", command))
}

/** A later task has been to the host, or the machine is gone: what is there is not this task's any more. */
async function unlessOvertaken(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof Fault && overtaken.has(error.code))) throw error
  }
}
const overtaken: ReadonlySet<string> = new Set(["agent.fence.stale", "agent.machine.not_found"])
