// A server from what its machine says of itself, for a machine whose row is lost. It has the machine's name, size,
// disks and image; of its interfaces those whose ports are still there. What only the row knew (tags, metadata, keys,
// user data, the flavor's name) is taken from the config drive where there is one, and is gone where there is none.
import type { VmSpec } from "../../agent/protocol.ts"
import { listServerPorts } from "../../network/index.ts"
import { claimAllocation } from "../../placement/index.ts"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { hostNotFound, machineNotAdoptable } from "../faults.ts"
import { resourcesOf } from "../schedule/request.ts"
import { keepInjectedFiles } from "../server/injected-file.ts"
import { powerNumberOf, type Server, type VmState } from "../server/server.ts"
import { insertServers, reviveServer, selectServer } from "../server/store.ts"
import { adoptVolumes } from "./adopt-volumes.ts"
import { differingDisk, injectedFilesOf, newServerOf, volumeDisksOf } from "./adopted-server.ts"
import { type Host, zoneOf } from "./host.ts"
import { selectHost } from "./store.ts"
import { type Finding, findUnknownMachine } from "./unknown.ts"

export interface Adopt {
  id: string
  /** Null: the project that the machine says. */
  projectId: string | null
  userId: string
}

export interface Adopted {
  host: string
  server: Server
  /** Interfaces that the machine had and that have no port any more. */
  portsMissing: number
}

/** The machine becomes a server: where it lay in its place it runs on, from aside it comes back switched off. */
export async function adoptMachine(platform: Platform, adopt: Adopt): Promise<Adopted> {
  const finding = await findUnknownMachine(platform, adopt.id)
  const { host, kind, machine, serverId } = finding
  if (machine === null) throw machineNotAdoptable(adopt.id, "its server is there, and its machine is not")
  if (machine.spec === null) throw machineNotAdoptable(adopt.id, "the machine left no record of what it is")
  const before = await selectServer(platform.db, serverId, { withDeleted: true })
  const { spec } = machine
  const projectId = adopt.projectId ?? spec.projectId
  const planned = newServerOf(spec, { projectId, userId: adopt.userId })
  // The next start would make such a disk anew.
  const disk = differingDisk(before ?? planned, spec)
  if (disk !== null) throw machineNotAdoptable(adopt.id, `its server would have another disk "${disk}"`)
  if (before && before.taskState !== null) throw machineNotAdoptable(adopt.id, "its server has a task now")
  const power = kind === "aside" ? "shutdown" : machine.power
  if (kind === "aside") await callAgent(platform, host, "vm.take_back", { entry: adopt.id })
  const home = await selectHost(platform.db, host)
  if (!home) throw hostNotFound(host)
  const server = await transact(platform.db, async (tx) => {
    // The row of a deleted or lost server comes back as it was.
    if (!before) {
      await insertServers(tx, [planned])
      await keepInjectedFiles(tx, [serverId], injectedFilesOf(spec))
    }
    const row = await reviveServer(tx, serverId, {
      host,
      availabilityZone: zoneOf(platform, home),
      generationAbove: machine.generation,
      vmState: stateOf(power),
      powerState: powerNumberOf(power),
    })
    await claimRoom(tx, row, home)
    const disks = volumeDisksOf(spec)
    if (disks.length > 0) await adoptVolumes(internalCtx(platform), tx, row, { host, disks, id: adopt.id })
    return row
  })
  platform.log.warn({ host, serverId, kind }, "a machine was adopted as a server")
  return { host, server, portsMissing: await countMissingPorts(platform, spec) }
}

function stateOf(power: Finding["power"]): VmState {
  if (power === "running") return "active"
  return power === "paused" || power === "suspended" ? power : "stopped"
}

async function claimRoom(tx: Tx, server: Server, host: Host): Promise<void> {
  await claimAllocation(tx, {
    consumerId: server.id,
    projectId: server.projectId,
    userId: server.userId,
    candidates: [host.id],
    resources: resourcesOf(server, server.flavor),
  })
}

async function countMissingPorts(platform: Platform, spec: VmSpec): Promise<number> {
  const has = await listServerPorts(platform, spec.serverId)
  const ids = new Set(has.map((port) => port.portId))
  return spec.vifs.filter((vif) => !ids.has(vif.portId)).length
}
