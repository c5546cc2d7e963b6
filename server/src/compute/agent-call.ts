// Commands to the agent of a host. Every command that changes something carries the fence (ADR 9).
import { type AgentCommands, agentTopic, type Fence } from "../agent/protocol.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { isHostReachable } from "./host/reachable.ts"

type Method = keyof AgentCommands

/** The epoch is the cloud's, whoever sends. */
function withEpoch(platform: Platform, args: AgentCommands[Method]["args"]): object {
  if (!("fence" in args) || args.fence === null) return args
  return { ...args, fence: { ...args.fence, epoch: platform.epoch.number } satisfies Fence }
}

/** Commands that copy or boot: they get the longer time. */
const slow: ReadonlySet<Method> = new Set<Method>([
  "vm.ensure",
  "vm.reboot",
  "vm.snapshot",
  "vm.stop",
  "vm.suspend",
])

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
  try {
    const answer = await platform.bus.call(agentTopic(host), method, withEpoch(platform, args), {
      timeoutMs: options.timeoutMs ?? agentTimeoutMs(platform, method),
      ...(options.signal ? { signal: options.signal } : {}),
    })
    // The agent answers in the types of the protocol that both sides import.
    return answer as AgentCommands[M]["result"]
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
