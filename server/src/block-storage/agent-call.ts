// Commands to the agent of the host that a volume lies on: how long each may take, and what users are told when it does
// not answer.
import type { AgentCommands } from "../agent/protocol.ts"
import { sendToAgent } from "../engine/agent-call.ts"
import { imageTicket } from "../image/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault } from "../platform/fault/fault.ts"
import { backupTicket } from "./backup/ticket.ts"

type VolumeMethod = Extract<keyof AgentCommands, `volume.${string}`>
type Args<M extends VolumeMethod> = AgentCommands[M]["args"]
/** What the caller says; the tickets for images and backups are added to it. */
type Said<M extends VolumeMethod> = Omit<Args<M>, "ticket" | "tickets">

export async function callAgent<M extends VolumeMethod>(
  platform: Platform,
  host: string,
  method: M,
  said: Said<M>,
  { signal }: { signal?: AbortSignal } = {},
): Promise<AgentCommands[M]["result"]> {
  const { agentCallTimeoutMs, agentCopyTimeoutMs } = platform.config.blockStorage
  const timeoutMs = isCopying(method, said as MaybeSaid) ? agentCopyTimeoutMs : agentCallTimeoutMs
  // `Said` is what is there without the tickets.
  const args = { ...said, ...ticketsFor(platform, host, method, said as MaybeSaid, timeoutMs) } as Args<M>
  try {
    return await sendToAgent(platform, host, method, args, { timeoutMs, ...(signal ? { signal } : {}) })
  } catch (error) {
    throw error instanceof Fault && error.code.startsWith("bus.") ? unanswered(error) : error
  }
}

/** What some commands have. */
type MaybeSaid = Partial<
  Pick<Args<"volume.create">, "source"> &
    Pick<Args<"volume.upload">, "imageId"> &
    Pick<Args<"volume.backup">, "dataId" | "chunkBytes">
>

const copying: ReadonlySet<VolumeMethod> = new Set<VolumeMethod>([
  "volume.upload",
  "volume.revert",
  "volume.move",
  "volume.recode",
  "volume.send",
  "volume.receive",
  "volume.create_together",
  "volume.backup",
  "volume.restore",
])

function isCopying(method: VolumeMethod, { source }: MaybeSaid): boolean {
  return copying.has(method) || source !== undefined
}

/** Nobody waits for a command for longer than its time; it may have waited for its turn on the host before. */
export const ticketTimes = 2

function ticketsFor(
  platform: Platform,
  host: string,
  method: VolumeMethod,
  { source, imageId, dataId, chunkBytes }: MaybeSaid,
  timeoutMs: number,
): object {
  const forMs = timeoutMs * ticketTimes
  if (dataId !== undefined) {
    const verb = method === "volume.backup" ? "write" : "read"
    const how = chunkBytes === undefined ? {} : { chunkBytes }
    return { ticket: backupTicket(platform, { host, dataId, verb, ...how }, forMs) }
  }
  if (source?.kind === "backup")
    return {
      tickets: {
        [source.dataId]: backupTicket(platform, { host, dataId: source.dataId, verb: "read" }, forMs),
      },
    }
  if (method === "volume.upload" && imageId !== undefined)
    return { ticket: imageTicket(platform, { host, imageId, verb: "write" }, forMs) }
  if (source?.kind !== "image") return {}
  const ticket = imageTicket(platform, { host, imageId: source.imageId, verb: "read" }, forMs)
  return { tickets: { [source.imageId]: ticket } }
}

/** The bus names who does not answer; which host that is is not the user's to know. */
function unanswered(cause: Fault): Fault {
  const { kind, code, retryAfterMs } = cause
  const text = "The host of the volume does not answer now; try again."
  return new Fault(kind, code, text, { cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
}

/** For undoing: a later task has been to the host, and has decided what is there. */
export async function unlessOvertaken(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof Fault && error.code === "agent.fence.stale")) throw error
  }
}
