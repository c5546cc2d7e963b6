// What each vm.* command does. Called from the machine's queue only, after the fence was accepted.
import type { Duplex } from "node:stream"
import { Revert } from "../platform/exec/revert.ts"
import { type AgentContext, existing, handleOf, imageRequests, imagesInUse } from "./context.ts"
import { agentAbilityMissing, agentMachineStateWrong } from "./faults.ts"
import {
  canHotplugVifs,
  canOfferConsoles,
  canSnapshot,
  canSuspend,
  type EnsureInput,
  type LocalImage,
  type PluggedVif,
} from "./hypervisor/hypervisor.ts"
import type { MachineRecord } from "./machine-store.ts"
import type {
  ConsoleKind,
  DiskSpec,
  EnsuredState,
  ImageTickets,
  VifSpec,
  VmDiagnostics,
  VmSpec,
  VmState,
} from "./protocol.ts"
import { plugOpened, takeOut, unplugVolume } from "./volumes/plug-commands.ts"
import { volumeDisks } from "./volumes/volume-disks.ts"

type Wanted = Exclude<MachineRecord["wanted"], "suspended">

/** Plugs, fills the cache, makes the machine, writes down. Undoes what it did when a step fails. */
export async function ensureMachine(
  context: AgentContext,
  spec: VmSpec,
  power: Wanted,
  tickets: ImageTickets = {},
): Promise<EnsuredState> {
  const { machines, hypervisor } = context
  const { input, revert, prior, added, gone } = await prepareMachine(context, spec, power, tickets)
  await using undo = revert
  const handle = await hypervisor.ensure(input, prior?.handle ?? null, context.volumeKeys)
  // One that was running already has its disks as they were.
  if (prior) for (const disk of added) await plugOpened(context, spec.serverId, disk, input.volumes)
  const reached = await hypervisor.inspect(handle)
  // What is taken away belongs to the machine until it is.
  const kept = { ...spec, disks: [...spec.disks, ...gone] }
  const record: MachineRecord = { spec: kept, wanted: power, handle, state: reached }
  await machines.put(record)
  undo.done()
  const has = new Set(spec.vifs.map((vif) => vif.portId))
  for (const { portId } of prior?.spec.vifs ?? [])
    if (!has.has(portId)) await removeVif(context, record, portId)
  for (const disk of gone) await unplugVolume(context, spec.serverId, disk.name)
  return { ...reached, isPlugged: input.vifs.some(({ device }) => device !== null) }
}

/** What a hypervisor needs to make the machine; undone by `revert`, which is the caller's to end. */
interface PreparedMachine {
  input: EnsureInput & Required<Pick<EnsureInput, "volumes">>
  revert: Revert
  prior: MachineRecord | undefined
  added: DiskSpec[]
  gone: DiskSpec[]
}

export async function prepareMachine(
  context: AgentContext,
  spec: VmSpec,
  power: Wanted,
  tickets: ImageTickets = {},
): Promise<PreparedMachine> {
  const { machines } = context
  const prior = machines.get(spec.serverId)
  await using revert = new Revert()
  // Written down first: whatever follows can then be found and finished, or removed, after any crash.
  const state = prior?.state ?? { power: "absent" as const, since: context.clock.now().toISOString() }
  const { added, gone } = changedVolumes(prior?.spec, spec)
  const kept = { ...spec, disks: [...spec.disks, ...gone] }
  const intent: MachineRecord = { spec: kept, wanted: power, handle: prior?.handle ?? null, state }
  const volumes = await context.volumes.claimAndOpen(spec.serverId, spec.disks, () =>
    machines.put(intent, { isIntent: true }),
  )
  revert.push(() => forget(context, spec.serverId, prior))
  if (prior) for (const disk of added) revert.push(() => takeOut(context, spec.serverId, disk.name))
  const vifs: PluggedVif[] = []
  const had = new Set(prior?.spec.vifs.map((vif) => vif.portId))
  for (const vif of spec.vifs) {
    if (!had.has(vif.portId)) revert.push(() => giveBack(context, vif.portId))
    vifs.push(await plug(context, vif))
  }
  const imageFiles = await fillCache(context, spec, tickets)
  const input = { spec, power, vifs, imageFiles, volumes }
  return { input, revert: revert.move(), prior, added, gone }
}

/** Undoes a failed ensure. What cannot be undone stays listed for the reconciler, and hides no fault. */
async function forget(
  context: AgentContext,
  serverId: string,
  prior: MachineRecord | undefined,
): Promise<void> {
  const { machines, hypervisor, log } = context
  try {
    if (prior) {
      // Volumes that could not be taken out again stay the machine's.
      const { added } = changedVolumes(prior.spec, existing(context, serverId).spec)
      const spec = { ...prior.spec, disks: [...prior.spec.disks, ...added] }
      await machines.put({
        ...prior,
        spec,
        state: await hypervisor.inspect(handleOf(context, serverId, prior)),
      })
      return
    }
    await hypervisor.destroy(handleOf(context, serverId, undefined))
    await machines.remove(serverId)
  } catch (error) {
    log.error({ serverId, err: error }, "a machine that failed to start could not be removed")
  }
}

function changedVolumes(prior: VmSpec | undefined, spec: VmSpec): { added: DiskSpec[]; gone: DiskSpec[] } {
  const [before, after] = [volumeDisks(prior?.disks ?? []), volumeDisks(spec.disks)]
  const lacks = (list: typeof after) => (one: (typeof after)[number]) =>
    !list.some(({ volumeId }) => volumeId === one.volumeId)
  return {
    added: after.filter(lacks(before)).map(({ disk }) => disk),
    gone: before.filter(lacks(after)).map(({ disk }) => disk),
  }
}

async function giveBack(context: AgentContext, portId: string): Promise<void> {
  try {
    await context.ports.unplug(portId)
  } catch (error) {
    context.log.error({ portId, err: error }, "a port could not be unplugged")
  }
}

async function plug(context: AgentContext, vif: VifSpec): Promise<PluggedVif> {
  const { device } = await context.ports.plug(vif)
  return { portId: vif.portId, macAddress: vif.macAddress, mtu: vif.mtu, device }
}

async function fillCache(
  context: AgentContext,
  spec: VmSpec,
  tickets: ImageTickets,
): Promise<Record<string, LocalImage>> {
  const files: Record<string, LocalImage> = {}
  for (const { name, ...image } of imageRequests(spec)) {
    const request = { ...image, ticket: tickets[image.imageId] }
    files[name] = await context.images.ensureImage(request, () => imagesInUse(context))
  }
  return files
}

export async function setMachinePower(
  context: AgentContext,
  serverId: string,
  power: Wanted,
  graceMs: number,
): Promise<VmState> {
  const { isArriving: _, ...record } = existing(context, serverId)
  // The wish is kept first, so that a crash on the way does not start a machine that was to be stopped.
  await context.machines.put({ ...record, wanted: power }, { isIntent: true })
  const handle = handleOf(context, serverId, record)
  const turn = () => context.hypervisor.setPower(handle, power, { graceMs })
  const { power: now } = power === "shutdown" ? { power } : await context.hypervisor.inspect(handle)
  // A start opens its volumes.
  const isStart = power !== "shutdown" && now !== "running" && now !== "paused"
  const state = isStart ? await holdVolumes(context, record, turn) : await turn()
  await context.machines.put({ ...record, wanted: power, state })
  return state
}

async function holdVolumes<T>(
  { volumes }: AgentContext,
  { spec }: MachineRecord,
  task: () => Promise<T>,
): Promise<T> {
  const ids = volumeDisks(spec.disks).map(({ volumeId }) => volumeId)
  return await volumes.hold(ids, task, { isOwn: true })
}

export async function suspendMachine(context: AgentContext, serverId: string): Promise<VmState> {
  const { hypervisor, machines } = context
  const record = existing(context, serverId)
  if (!canSuspend(hypervisor)) throw agentAbilityMissing(hypervisor.name, "suspend a machine")
  const suspend = () => hypervisor.suspend(handleOf(context, serverId, record))
  const state = await holdVolumes(context, record, suspend)
  await machines.put({ ...record, wanted: "suspended", state })
  return state
}

export async function rebootMachine(
  context: AgentContext,
  spec: VmSpec,
  how: { hard: boolean; graceMs: number },
  tickets?: ImageTickets,
): Promise<VmState> {
  const { serverId } = spec
  const record = existing(context, serverId)
  const handle = handleOf(context, serverId, record)
  const now = await context.hypervisor.inspect(handle)
  if (!how.hard && now.power === "running") {
    await context.hypervisor.setPower(handle, "shutdown", { graceMs: how.graceMs })
  } else if (now.power !== "shutdown" && now.power !== "absent") {
    await context.hypervisor.setPower(handle, "shutdown", { graceMs: 0 })
  }
  // A new process, with whatever the spec has changed since the last one.
  return await ensureMachine(context, spec, "running", tickets)
}

export async function destroyMachine(context: AgentContext, serverId: string): Promise<VmState> {
  const record = context.machines.get(serverId)
  await context.hypervisor.destroy(handleOf(context, serverId, record))
  for (const vif of record?.spec.vifs ?? []) await context.ports.unplug(vif.portId)
  await context.machines.remove(serverId)
  await context.images.prune(() => imagesInUse(context))
  return absent(context)
}

export async function inspectMachine(context: AgentContext, serverId: string): Promise<VmState> {
  const record = context.machines.get(serverId)
  if (!record) return absent(context)
  const state = await context.hypervisor.inspect(handleOf(context, serverId, record))
  const { cannotStart, wanted } = record
  const isOff = state.power === "shutdown" || state.power === "crashed"
  return cannotStart !== undefined && wanted !== "shutdown" && isOff ? { ...state, cannotStart } : state
}

export async function plugMachine(context: AgentContext, serverId: string, vif: VifSpec): Promise<VmState> {
  const { hypervisor, machines } = context
  const record = existing(context, serverId)
  if (!canHotplugVifs(hypervisor)) throw agentAbilityMissing(hypervisor.name, "add an interface")
  await using revert = new Revert()
  const isNew = !record.spec.vifs.some((v) => v.portId === vif.portId)
  if (isNew) revert.push(() => giveBack(context, vif.portId))
  const handle = handleOf(context, serverId, record)
  await hypervisor.plugVif(handle, await plug(context, vif))
  const vifs = [...record.spec.vifs.filter((v) => v.portId !== vif.portId), vif]
  const state = await hypervisor.inspect(handle)
  await machines.put({ ...record, spec: { ...record.spec, vifs }, state })
  revert.done()
  return state
}

export async function unplugMachine(
  context: AgentContext,
  serverId: string,
  portId: string,
): Promise<VmState> {
  const record = existing(context, serverId)
  await removeVif(context, record, portId)
  return await inspectMachine(context, serverId)
}

async function removeVif(context: AgentContext, record: MachineRecord, portId: string): Promise<void> {
  const { hypervisor, machines, ports } = context
  const { serverId } = record.spec
  if (!canHotplugVifs(hypervisor)) throw agentAbilityMissing(hypervisor.name, "remove an interface")
  await hypervisor.unplugVif(handleOf(context, serverId, record), portId)
  await ports.unplug(portId)
  const vifs = record.spec.vifs.filter((vif) => vif.portId !== portId)
  await machines.put({ ...record, spec: { ...record.spec, vifs } })
}

export async function readConsole(
  context: AgentContext,
  serverId: string,
  lines: number | null,
): Promise<{ output: string }> {
  const handle = handleOf(context, serverId, existing(context, serverId))
  return { output: await context.hypervisor.consoleLog(handle, lines) }
}

export async function openConsole(
  context: AgentContext,
  serverId: string,
  kind: ConsoleKind,
): Promise<Duplex> {
  const { hypervisor } = context
  const handle = handleOf(context, serverId, existing(context, serverId))
  if (!canOfferConsoles(hypervisor)) throw agentAbilityMissing(hypervisor.name, "offer a console")
  const { power } = await hypervisor.inspect(handle)
  if (power !== "running" && power !== "paused") throw agentMachineStateWrong("open a console of", power)
  return await hypervisor.openConsole(handle, kind)
}

export async function diagnoseMachine(context: AgentContext, serverId: string): Promise<VmDiagnostics> {
  return await context.hypervisor.diagnostics(handleOf(context, serverId, existing(context, serverId)))
}

export async function snapshotMachine(
  context: AgentContext,
  serverId: string,
  path: string,
): Promise<{ sizeBytes: number }> {
  const { hypervisor } = context
  const handle = handleOf(context, serverId, existing(context, serverId))
  if (!canSnapshot(hypervisor)) throw agentAbilityMissing(hypervisor.name, "take a snapshot")
  return await hypervisor.snapshot(handle, "root", path)
}

function absent(context: AgentContext): VmState {
  return { power: "absent", since: context.clock.now().toISOString() }
}

/** Of every machine that the agent knows of, and of what a crash left of one. */
export async function listMachines(context: AgentContext): Promise<{ serverId: string; state: VmState }[]> {
  const { machines } = context
  const ids = new Set([...machines.directories(), ...machines.all().map((record) => record.spec.serverId)])
  const list: { serverId: string; state: VmState }[] = []
  for (const serverId of ids) list.push({ serverId, state: await inspectMachine(context, serverId) })
  return list
}
