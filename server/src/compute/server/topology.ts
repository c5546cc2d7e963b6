import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotFound } from "../faults.ts"
import { keptHardware } from "../guest-hardware/hardware.ts"
import { usualPageKib } from "../guest-hardware/page-size.ts"
import { keptImage } from "./image.ts"
import { targetOf, visibleServer } from "./read.ts"
import type { Server } from "./server.ts"

export interface ServerTopology {
  nodes: {
    cpus: readonly number[]
    memoryMib: number
    /** Threads of one core. */
    siblings: readonly (readonly number[])[]
    /** The guest's processor → the host's; null: not for this caller. */
    pins: Readonly<Record<string, number>> | null
  }[]
  /** Null: as its host has them, or not known while it does not run. */
  pageSizeKib: number | null
}

/** Cells of memory that a guest is given by its flavor or image. They lie anywhere on the host. */
export const showServerTopology = operation({
  name: "compute.server.show_topology",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:compute:server:topology:index",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server): Promise<ServerTopology> => {
    const { machine, pageSize, properties } = keptHardware(server.flavor, keptImage(server.systemMetadata))
    const cells = machine?.cells ?? []
    if (cells.length === 0) return { nodes: [], pageSizeKib: null }
    const rule = "os_compute_api:compute:server:topology:host:index"
    const maySeeHost = ctx.policy.isAllowed(ctx.caller, rule, targetOf(server))
    const asksHost =
      (maySeeHost && machine?.pinnedCpus !== undefined) || pageSize === "large" || pageSize === "any"
    const host = asksHost ? await onHost(ctx, server) : { pins: {}, pageSizeKib: null }
    const threads = Number(properties.hw_cpu_threads ?? "1")
    return {
      nodes: cells.map(({ cpus, memoryMib }) => ({
        cpus,
        memoryMib,
        siblings: threads > 1 ? siblingsOf(cpus, threads) : [],
        pins: maySeeHost ? pinsOf(cpus, host.pins) : null,
      })),
      pageSizeKib:
        typeof pageSize === "number" ? pageSize : pageSize === "small" ? usualPageKib : host.pageSizeKib,
    }
  },
})

/** None of a machine that does not run, or whose host does not answer. */
async function onHost(
  ctx: Ctx,
  server: Server,
): Promise<{ pins: Readonly<Record<string, number>>; pageSizeKib: number | null }> {
  const nothing = { pins: {}, pageSizeKib: null }
  if (server.host === null) return nothing
  try {
    const { cpus, pageSizeKib } = await callAgent(ctx, server.host, "vm.diagnostics", { serverId: server.id })
    const pins = cpus.flatMap(({ id, pin }) => (pin === undefined ? [] : [[String(id), pin] as const]))
    return { pins: Object.fromEntries(pins), pageSizeKib: pageSizeKib ?? null }
  } catch (error) {
    if (error instanceof Fault) return nothing
    throw error
  }
}

function pinsOf(cpus: readonly number[], pins: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    cpus.flatMap((cpu) => {
      const pin = pins[String(cpu)]
      return pin === undefined ? [] : [[String(cpu), pin] as const]
    }),
  )
}

/** Processors are numbered by threads first. */
function siblingsOf(cpus: readonly number[], threads: number): number[][] {
  const cores = Map.groupBy(cpus, (cpu) => Math.floor(cpu / threads))
  return [...cores.values()].filter((core) => core.length > 1)
}
