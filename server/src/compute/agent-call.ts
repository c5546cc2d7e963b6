// Commands to the agent of a server's host: how long each may take, and what users are told when it does not answer.
import type { AgentCommands, ImageTickets, VmSpec } from "../agent/protocol.ts"
import { type AgentMethod, sendToAgent } from "../engine/agent-call.ts"
import { imageTicket } from "../image/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { describeError, Fault } from "../platform/fault/fault.ts"
import { isHostReachable } from "./host/reachable.ts"

/** Commands that boot, or fetch an image first: they get the longer time. */
const slow: ReadonlySet<AgentMethod> = new Set<AgentMethod>([
  "vm.ensure",
  "vm.reboot",
  "vm.stop",
  "vm.suspend",
])
/** Commands that move a whole disk. */
const copying: ReadonlySet<AgentMethod> = new Set<AgentMethod>([
  "vm.snapshot",
  "vm.upload_snapshot",
  "vm.send_disk",
  "vm.receive_disk",
  "vm.send_live",
  "vm.receive_live",
])

export function agentTimeoutMs(platform: Platform, method: AgentMethod): number {
  const { agentCallTimeoutMs, agentCopyTimeoutMs, agentStartTimeoutMs } = platform.config.compute
  if (copying.has(method)) return agentCopyTimeoutMs
  return slow.has(method) ? agentStartTimeoutMs : agentCallTimeoutMs
}

type Args<M extends AgentMethod> = AgentCommands[M]["args"]
/** What the caller says; the tickets for images are added to it. */
type Said<M extends AgentMethod> = Omit<Args<M>, "ticket" | "tickets">

export async function callAgent<M extends AgentMethod>(
  platform: Platform,
  host: string,
  method: M,
  said: Said<M>,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<AgentCommands[M]["result"]> {
  const timeoutMs = options.timeoutMs ?? agentTimeoutMs(platform, method)
  // `Said` is what is there without the tickets.
  const args = { ...said, ...ticketsFor(platform, host, method, said, timeoutMs) } as Args<M>
  try {
    return await sendToAgent(platform, host, method, args, {
      timeoutMs,
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (error) {
    throw error instanceof Fault && error.code.startsWith("bus.") ? unanswered(error) : error
  }
}

/** Nobody waits for a command for longer than its time; it may have waited for its turn on the host before. */
const ticketTimes = 2

function ticketsFor(
  platform: Platform,
  host: string,
  method: AgentMethod,
  said: Partial<Pick<Args<"vm.ensure">, "spec"> & Pick<Args<"vm.upload_snapshot">, "imageId">>,
  timeoutMs: number,
): object {
  const forMs = timeoutMs * ticketTimes
  if (said.spec) return { tickets: readTickets(platform, host, said.spec, forMs) }
  if (method !== "vm.upload_snapshot" || said.imageId === undefined) return {}
  return { ticket: imageTicket(platform, { host, imageId: said.imageId, verb: "write" }, forMs) }
}

/** One for each image that the machine is made of. */
function readTickets(platform: Platform, host: string, spec: VmSpec, forMs: number): ImageTickets {
  const ids = new Set([
    ...spec.disks.flatMap(({ source }) => (source.kind === "image" ? [source.imageId] : [])),
    ...[spec.kernelImage, spec.ramdiskImage].flatMap((image) => (image ? [image.imageId] : [])),
  ])
  return Object.fromEntries(
    [...ids].map((imageId) => [imageId, imageTicket(platform, { host, imageId, verb: "read" }, forMs)]),
  )
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

/**
 * What an earlier stay of the server has left on a host that it comes to. Below whatever its task sends, and above the
 * one before: what a try of this task has there it takes up itself.
 */
export async function clearMachine(
  platform: Platform,
  host: string,
  { serverId, generation }: { serverId: string; generation: number },
  signal: AbortSignal,
): Promise<void> {
  const fence = { generation: generation - 1, fence: beforeTask }
  await unlessOvertaken(callAgent(platform, host, "vm.destroy", { serverId, fence }, { signal }))
}
const beforeTask = 2 ** 31

/** For undoing what a command may have done: the interface is not plugged after it. */
export async function undoPlug(
  platform: Platform,
  host: string,
  command: AgentCommands["vm.unplug"]["args"],
): Promise<void> {
  await unlessOvertaken(callAgent(platform, host, "vm.unplug", command))
}

/** Removes a snapshot's copy from its host, when that answers; else the host does that by itself some time later. */
export async function discardSnapshot(
  platform: Platform,
  host: string | null | undefined,
  command: AgentCommands["vm.discard_snapshot"]["args"],
): Promise<void> {
  if (!host || !(await isHostReachable(platform, host))) return
  try {
    await callAgent(platform, host, "vm.discard_snapshot", command)
  } catch (error) {
    platform.log.warn(
      { host, imageId: command.imageId, why: describeError(error) },
      "a snapshot stays for now",
    )
  }
}

/** A later task has been to the host, or the machine is gone: what is there is not this task's any more. */
export async function unlessOvertaken(call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!(error instanceof Fault && overtaken.has(error.code))) throw error
  }
}
const overtaken: ReadonlySet<string> = new Set(["agent.fence.stale", "agent.machine.not_found"])
