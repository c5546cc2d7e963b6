// What the agent does with the machines it finds when it starts, and what it does with them when the host stops.
//
//   alive                                        re-adopted
//   on its way to be set aside                   set aside
//   directory of a destroyed machine             removed
//   ran when the host was stopped (marker)       started again, once the cloud says that it is still this host's
//   ran, and the host has booted since           the same
//   was coming from another host, and is not     reported: where it goes on the cloud says
//   ran, and died while nobody looked            reported as shutdown
import { describeError } from "../platform/fault/fault.ts"
import { moveAside } from "./aside-commands.ts"
import { type AgentContext, handleOf, noteState, reportState } from "./context.ts"
import { destroyMachine, ensureMachine } from "./machine-commands.ts"
import { forEachLimited, type MachineQueues } from "./machine-queue.ts"
import type { agentDirectories, MachineRecord } from "./machine-store.ts"
import { type StartRights, startRightsMost, type VmState } from "./protocol.ts"
import type { StartRightsSource, WakeablePause } from "./start-rights.ts"
import { readStateFile, removeStateFile, writeStateFile } from "./state-file.ts"

export interface RecoveryDeps {
  context: AgentContext
  queues: MachineQueues
  directories: ReturnType<typeof agentDirectories>
  /** The kernel's boot id; another one means that the host was off. */
  bootId: () => string
  /** Ends the pauses below; what waits then is tried again at the next start. */
  stop: AbortSignal
  /** Before each further try of what could not be started again; then it stays off. */
  resumePausesMs: readonly number[]
  startRights: StartRightsSource
  epochId: () => string | null
  /** Between two looks at what is still to be started. */
  pause: WakeablePause
}

interface Resumed {
  serverId: string
  power: "running" | "paused"
}

interface ResumeMarker {
  machines: Resumed[]
}

/** Looking at a machine costs a socket and some reading. */
const adoptWidth = 16
/** Starting one costs processor time until its guest is up. */
const resumeWidth = 4
const powerOffWidth = 64

/** Adopts and reports; resolves then. Machines that must start again do so behind `resumed`. */
export async function recoverMachines(deps: RecoveryDeps): Promise<{ resumed: Promise<void> }> {
  const { context, queues, directories } = deps
  const marker = readStateFile(directories.resumeMarker) as ResumeMarker | undefined
  const host = readStateFile(directories.hostState) as { bootId: string } | undefined
  const hasRebooted = host !== undefined && host.bootId !== deps.bootId()
  const toResume: Resumed[] = []
  await forEachLimited(context.machines.directories(), adoptWidth, async (serverId) => {
    try {
      await queues.run(
        serverId,
        async () => {
          const before = context.machines.get(serverId)?.state.power
          const state = await recoverMachine(context, serverId)
          const wasMarked = marker?.machines.find((machine) => machine.serverId === serverId)
          if (!state || !isDown(state)) return
          // It was to come from another host, and has not: where it goes on the cloud says.
          if (context.machines.get(serverId)?.isArriving) return reportState(context, serverId, state)
          if (wasMarked) toResume.push(wasMarked)
          else if (hasRebooted && (before === "running" || before === "paused")) {
            toResume.push({ serverId, power: before })
          } else reportState(context, serverId, state)
        },
        { isOwn: true },
      )
    } catch (error) {
      context.log.error({ serverId, err: error }, "a machine could not be recovered")
    }
  })
  // From here on a second start must not take these machines for dead ones.
  if (toResume.length > 0) {
    await writeStateFile(directories.resumeMarker, { machines: toResume } satisfies ResumeMarker)
  }
  await writeStateFile(directories.hostState, { bootId: deps.bootId() })
  return { resumed: resumeAll(deps, toResume) }
}

/** Until the cloud says more, unless somebody wakes us before. */
const askAgainMs = 5_000

interface Waiting extends Resumed {
  failures: number
}

/** The marker says what is still to be started, until all is, or has left, or was tried for the last time. */
async function resumeAll(deps: RecoveryDeps, machines: readonly Resumed[]): Promise<void> {
  const { context, directories, stop, resumePausesMs, pause } = deps
  let left: Waiting[] = machines.map((machine) => ({ ...machine, failures: 0 }))
  while (left.length > 0) {
    // Each time anew: what was so before a pause may be another host's after it.
    left = (await mapChunks(left, startRightsMost, (some) => resumeSome(deps, some))).flat()
    if (left.length === 0) break
    // The one that is there names them as well.
    const marker = { machines: left.map(({ serverId, power }) => ({ serverId, power })) }
    await writeStateFile(directories.resumeMarker, marker satisfies ResumeMarker).catch((error: unknown) =>
      context.log.error({ err: error }, "the machines still to be started cannot be noted"),
    )
    const pausesMs = left.map(({ failures }) => resumePausesMs[failures - 1] ?? askAgainMs)
    await pause.sleep(context.clock, Math.min(...pausesMs), stop)
    if (stop.aborted) return
  }
  await removeStateFile(directories.resumeMarker)
}

/** Starts those that the cloud lets start; gives those that are still to be. */
async function resumeSome(deps: RecoveryDeps, some: readonly Waiting[]): Promise<Waiting[]> {
  const { context, startRights, stop, resumePausesMs } = deps
  let rights: StartRights
  try {
    const serverIds = some.map(({ serverId }) => serverId)
    rights = await startRights.of({ serverIds, epochId: deps.epochId() }, stop)
  } catch (error) {
    if (!stop.aborted)
      context.log.warn(
        { machines: some.length, why: describeError(error) },
        "machines of before wait for the cloud to say whether they are still to start here",
      )
    return [...some]
  }
  const [mayStart, hasLeft] = [new Set(rights.start), new Set(rights.leave)]
  const left: Waiting[] = []
  await forEachLimited(some, resumeWidth, async (machine) => {
    const { serverId, failures } = machine
    if (hasLeft.has(serverId)) {
      context.log.info({ serverId }, "a machine stays off: its server is not this host's any more")
    } else if (!mayStart.has(serverId)) left.push(machine)
    else if (!stop.aborted) {
      const isLast = failures >= resumePausesMs.length
      if (!(await resumeMachine(deps, machine, isLast)) && !isLast)
        left.push({ ...machine, failures: failures + 1 })
    } else left.push(machine)
  })
  return left
}

async function mapChunks<T, R>(
  items: readonly T[],
  size: number,
  work: (chunk: readonly T[]) => Promise<R>,
): Promise<R[]> {
  const done: R[] = []
  for (let at = 0; at < items.length; at += size) done.push(await work(items.slice(at, at + size)))
  return done
}

/** Null when there is no such machine any more. Reports it, unless it is down and may be resumed. */
async function recoverMachine(context: AgentContext, serverId: string): Promise<VmState | null> {
  if (context.aside.isMarked(serverId)) {
    await moveAside(context, serverId, 0)
    return null
  }
  if (context.fences.isDestroyed(serverId)) {
    await destroyMachine(context, serverId)
    context.log.info({ serverId }, "the remains of a destroyed machine are removed")
    return null
  }
  const record = context.machines.get(serverId)
  const state = await context.hypervisor.recover(handleOf(context, serverId, record))
  if (!record) return null
  await context.machines.put({ ...record, state })
  if (isDown(state)) return state
  reportState(context, serverId, state)
  // The network engine may have forgotten its ports while we were away.
  for (const vif of record.spec.vifs) await context.ports.plug(vif)
  return state
}

function isDown(state: VmState): boolean {
  return state.power === "shutdown" || state.power === "crashed"
}

/** False when it failed and may be tried again; after the last time it stays off, and the cloud is told why. */
async function resumeMachine(
  { context, queues }: RecoveryDeps,
  { serverId, power }: Resumed,
  isLast: boolean,
): Promise<boolean> {
  return await queues.run(
    serverId,
    async () => {
      const record = context.machines.get(serverId)
      // Someone may have deleted, stopped or started it since.
      if (!record || record.wanted === "shutdown" || record.wanted === "suspended") return true
      if (!isDown(record.state) && record.state.power !== "absent") return true
      try {
        const state = await ensureMachine(context, record.spec, power)
        reportState(context, serverId, state)
        return true
      } catch (error) {
        context.log.error({ serverId, isLast, err: error }, "a machine could not be started again")
        const [since, reason] = [context.clock.now().toISOString(), describeError(error)]
        const told = isLast ? { cannotStart: reason } : {}
        await noteState(context, { ...record, ...told }, { power: "shutdown", since, reason, ...told })
        return false
      }
    },
    { isOwn: true },
  )
}

/** Writes the marker, then powers all off in parallel. Not reported: for the cloud they go on after the restart. */
export async function powerOffAll(deps: RecoveryDeps, graceMs: number): Promise<void> {
  const { context, queues, directories } = deps
  await queues.idle()
  const waiting = readStateFile(directories.resumeMarker) as ResumeMarker | undefined
  const living: { record: MachineRecord; power: "running" | "paused" }[] = []
  for (const record of context.machines.all()) {
    const { power } = await context.hypervisor.inspect(handleOf(context, record.spec.serverId, record))
    if (power === "running" || power === "paused") living.push({ record, power })
  }
  const machines = living.map(({ record, power }) => ({ serverId: record.spec.serverId, power }))
  const isLiving = ({ serverId }: Resumed) => machines.some((one) => one.serverId === serverId)
  machines.push(...(waiting?.machines ?? []).filter((machine) => !isLiving(machine)))
  try {
    await writeStateFile(directories.resumeMarker, { machines } satisfies ResumeMarker)
  } catch (error) {
    // A full disk must not keep guests from their orderly end; they will be found stopped.
    context.log.error(
      { err: error },
      "the guests that ran cannot be noted; they stay off after the next start",
    )
  }
  await forEachLimited(living, powerOffWidth, async ({ record }) => {
    const { serverId } = record.spec
    await queues.run(
      serverId,
      async () => {
        const state = await context.hypervisor.setPower(handleOf(context, serverId, record), "shutdown", {
          graceMs,
        })
        await context.machines.put({ ...record, state }).catch((error: unknown) => {
          context.log.error({ serverId, err: error }, "the end of a guest cannot be noted")
        })
      },
      { isOwn: true },
    )
  })
}
