// Commands to the agent of a host, for any service. What changes something there carries a fence (ADR 9).
import { type AgentCommands, agentAnswers, agentTopic, type Fence } from "../agent/protocol.ts"
import type { CallOptions } from "../platform/bus/bus.ts"
import { answerWrong } from "../platform/bus/fault-wire.ts"
import type { Platform } from "../platform/context/context.ts"
import { knownPart } from "../platform/schema/known.ts"
import { mistakeIn } from "../platform/schema/mistake.ts"

export type AgentMethod = keyof AgentCommands

/** Faults are the command's own; of kind `unavailable`, code `bus.…`, when the host does not answer in time. */
export async function sendToAgent<M extends AgentMethod>(
  platform: Pick<Platform, "bus" | "epoch">,
  host: string,
  method: M,
  args: AgentCommands[M]["args"],
  options: CallOptions,
): Promise<AgentCommands[M]["result"]> {
  const answer = await platform.bus.call(agentTopic(host), method, withEpoch(platform, args), options)
  const schema = agentAnswers[method]
  const known = knownPart(schema, answer)
  if (known === undefined) throw answerWrong(`${host} to ${method}`, mistakeIn(schema, answer))
  return known
}

/** The epoch is the cloud's, whoever sends. */
function withEpoch({ epoch }: Pick<Platform, "epoch">, args: AgentCommands[AgentMethod]["args"]): object {
  const ofEpoch = (fence: Fence): Fence => ({ ...fence, epoch: epoch.number })
  if ("volumes" in args)
    return { ...args, volumes: args.volumes.map((one) => ({ ...one, fence: ofEpoch(one.fence) })) }
  if (!("fence" in args) || args.fence === null) return args
  return { ...args, fence: ofEpoch(args.fence) }
}
