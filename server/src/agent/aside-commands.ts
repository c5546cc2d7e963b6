// What sets machines aside, puts them back and discards them. From the machine's queue only.
import { join } from "node:path"
import { bytesBelow, checkEntry, serverIdOf } from "./aside.ts"
import { type AgentContext, handleOf, imagesInUse } from "./context.ts"
import { agentMachineExists, agentMachineNotFound } from "./faults.ts"
import { inspectMachine } from "./machine-commands.ts"
import type { AsideMachine, Fence, LocalMachine } from "./protocol.ts"

export interface SetAside {
  serverId: string
  /** Null: nobody commands this machine. */
  fence: Fence | null
  why: string
  graceMs: number
}

/** Repeatable: a machine that is there no more has been set aside, or never was. */
export async function setMachineAside(
  context: AgentContext,
  { serverId, fence, why, graceMs }: SetAside,
): Promise<{ entry: string }> {
  const { aside, clock, fences, machines } = context
  const mark = async () => {
    if (!machines.hasDirectory(serverId)) return
    const { power } = await inspectMachine(context, serverId)
    await aside.mark({ serverId, at: clock.now().toISOString(), why, power })
  }
  if (fence) await fences.accept(serverId, fence, "destroy", mark)
  else {
    await mark()
    await fences.bury(serverId)
  }
  const entry = await moveAside(context, serverId, graceMs)
  return { entry: entry ?? serverId }
}

/** Switches it off and moves its files; null when there are none. */
export async function moveAside(
  context: AgentContext,
  serverId: string,
  graceMs: number,
): Promise<string | null> {
  const { aside, hypervisor, log, machines, ports } = context
  if (!machines.hasDirectory(serverId)) return null
  const record = machines.get(serverId)
  await hypervisor.letGo(handleOf(context, serverId, record), { graceMs })
  for (const vif of record?.spec.vifs ?? []) await ports.unplug(vif.portId)
  const entry = await aside.move(serverId)
  machines.forget(serverId)
  log.warn({ serverId, entry }, "a machine is set aside, with its disks")
  return entry
}

/** Repeatable: what is back already stays as it is. */
export async function takeBack(context: AgentContext, entry: string): Promise<LocalMachine> {
  const { aside, machines, volumes } = context
  const serverId = serverIdOf(checkEntry(entry))
  const isThere = machines.hasDirectory(serverId)
  const isAside = aside.entries().includes(entry)
  if (isThere && isAside) throw agentMachineExists(serverId)
  if (isAside) {
    // Somebody may have been given its volumes since; nothing is changed then.
    await volumes.claim(serverId, aside.record(entry)?.spec.disks ?? [], async () => {
      await aside.moveBack(entry, serverId)
      machines.load(serverId)
    })
    const record = machines.get(serverId)
    // It ran, perhaps; it was switched off, and stays so until somebody starts it.
    if (record) {
      const state = await inspectMachine(context, serverId)
      const wanted = record.wanted === "suspended" ? record.wanted : "shutdown"
      await machines.put({ ...record, wanted, state })
    }
  }
  if (!machines.hasDirectory(serverId)) throw agentMachineNotFound(serverId)
  // Whoever adopts it commands it from the next generation on.
  return await describeLocal(context, serverId)
}

export async function discardAside(context: AgentContext, entry: string): Promise<Record<string, never>> {
  const { aside, hypervisor, images, machines } = context
  const serverId = serverIdOf(checkEntry(entry))
  await aside.discard(entry)
  // What the driver still knows of it, unless the server has a machine again, or another one aside.
  const isLast = !aside.entries().some((other) => serverIdOf(other) === serverId)
  if (isLast && !machines.hasDirectory(serverId)) {
    await hypervisor.destroy(handleOf(context, serverId, undefined))
  }
  await images.prune(() => imagesInUse(context))
  return {}
}

export async function describeUnknown(
  context: AgentContext,
  serverIds: readonly string[],
): Promise<{ here: LocalMachine[]; aside: AsideMachine[] }> {
  const here: LocalMachine[] = []
  for (const serverId of serverIds) {
    if (context.machines.hasDirectory(serverId)) here.push(await describeLocal(context, serverId))
  }
  const aside: AsideMachine[] = []
  for (const entry of context.aside.entries()) {
    const facts = await context.aside.describe(entry)
    aside.push({ ...facts, generation: context.fences.generationOf(facts.serverId) })
  }
  return { here, aside }
}

async function describeLocal(context: AgentContext, serverId: string): Promise<LocalMachine> {
  const { power } = await inspectMachine(context, serverId)
  return {
    serverId,
    power,
    spec: context.machines.get(serverId)?.spec ?? null,
    sizeBytes: await bytesBelow(join(context.machines.root, serverId)),
    generation: context.fences.generationOf(serverId),
  }
}
