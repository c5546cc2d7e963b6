// What the agent does with the machines it finds when it starts, and what it does with them when the host stops.
//
//   alive                                        re-adopted
//   on its way to be set aside                   set aside
//   directory of a destroyed machine             removed
//   ran when the host was stopped (marker)       started again
//   ran, and the host has booted since           started again
//   ran, and died while nobody looked            reported as shutdown
import { describeError } from "../platform/fault/fault.ts"
import { moveAside } from "./aside-commands.ts"
import { type AgentContext, handleOf, noteState, reportState } from "./context.ts"
import { destroyMachine, ensureMachine } from "./machine-commands.ts"
import { forEachLimited, type MachineQueues } from "./machine-queue.ts"
import type { agentDirectories, MachineRecord } from "./machine-store.ts"
import type { PowerState, VmState } from "./protocol.ts"
import { readStateFile, removeStateFile, writeStateFile } from "./state-file.ts"

export interface RecoveryDeps {
  context: AgentContext
  queues: MachineQueues
  directories: ReturnType<typeof agentDirectories>
  /** The kernel's boot id; another one means that the host was off. */
  bootId: () => string
}

interface ResumeMarker {
  machines: { serverId: string; power: "running" | "paused" }[]
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
  const toResume: { serverId: string; power: "running" | "paused" }[] = []
  await forEachLimited(context.machines.directories(), adoptWidth, async (serverId) => {
    try {
      await queues.run(
        serverId,
        async () => {
          const before = context.machines.get(serverId)?.state.power
          const state = await recoverMachine(context, serverId)
          const wasMarked = marker?.machines.find((machine) => machine.serverId === serverId)
          if (!state || !isDown(state)) return
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
  const resumed = forEachLimited(toResume, resumeWidth, (machine) => resumeMachine(deps, machine)).then(() =>
    removeStateFile(directories.resumeMarker),
  )
  return { resumed }
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

async function resumeMachine(
  { context, queues }: RecoveryDeps,
  machine: { serverId: string; power: "running" | "paused" },
): Promise<void> {
  const { serverId, power } = machine
  await queues.run(
    serverId,
    async () => {
      const record = context.machines.get(serverId)
      // Someone may have deleted or stopped it since.
      if (!record || record.wanted === "shutdown" || record.wanted === "suspended") return
      try {
        const state = await ensureMachine(context, record.spec, power)
        reportState(context, serverId, state)
      } catch (error) {
        context.log.error({ serverId, err: error }, "a machine could not be started again")
        const since = context.clock.now().toISOString()
        await noteState(context, record, { power: "shutdown", since, reason: describeError(error) })
      }
    },
    { isOwn: true },
  )
}

/** Writes the marker, then powers all off in parallel. Not reported: for the cloud they go on after the restart. */
export async function powerOffAll(deps: RecoveryDeps, graceMs: number): Promise<void> {
  const { context, queues, directories } = deps
  await queues.idle()
  const living: { record: MachineRecord; power: "running" | "paused" }[] = []
  for (const record of context.machines.all()) {
    const { power } = await context.hypervisor.inspect(handleOf(context, record.spec.serverId, record))
    if (power === "running" || power === "paused") living.push({ record, power })
  }
  const machines = living.map(({ record, power }) => ({ serverId: record.spec.serverId, power }))
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

/** Follows a machine's event: what it really is now, told when it is not what was told last. */
export async function followState(context: AgentContext, serverId: string): Promise<PowerState | null> {
  const record = context.machines.get(serverId)
  if (!record) return null
  const state = await context.hypervisor.inspect(handleOf(context, serverId, record))
  if (state.power === record.state.power) return null
  await noteState(context, record, state)
  return state.power
}
