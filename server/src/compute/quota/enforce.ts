// Refuses servers that a project has no room for: instances, cores, memory, metadata.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { checkRoom, enforceQuota, enforceQuotaOfMade, holdQuota, roomOf } from "../../quota/index.ts"
import type { FlavorSnapshot } from "../server/server.ts"
import { computeQuota } from "./resources.ts"

type Size = Pick<FlavorSnapshot, "vcpus" | "ramMib">

export interface NewServers {
  projectId: string
  flavor: Size
  metadata: Readonly<Record<string, string>>
  /** As many as there is room for, from least to most. */
  countLeast: number
  countMost: number
}

/** How many may be made; `quotaExceeded` when not even the least. The quota's lock is held to the end of the transaction. */
export async function holdRoomForServers(ctx: Ctx, tx: Tx, asked: NewServers): Promise<number> {
  const owner = { projectId: asked.projectId, userId: ctx.caller.userId }
  const resources = ["instances", "cores", "ram", "metadata_items"] as const
  const held = await holdQuota(ctx, tx, computeQuota, owner, resources)
  const { vcpus, ramMib } = asked.flavor
  const fitting = (resource: (typeof resources)[number], each: number) =>
    each === 0 ? asked.countMost : Math.floor(roomOf(held, resource) / each)
  const most = Math.min(
    asked.countMost,
    fitting("instances", 1),
    fitting("cores", vcpus),
    fitting("ram", ramMib),
  )
  const count = Math.max(most, asked.countLeast)
  checkRoom(held, {
    instances: count,
    cores: count * vcpus,
    ram: count * ramMib,
    metadata_items: Object.keys(asked.metadata).length,
  })
  return count
}

/** Only what becomes more is asked for: a project that has too much may make its servers smaller. */
export async function enforceGrowth(
  ctx: Ctx,
  tx: Tx,
  server: { projectId: string; userId: string; flavor: Size },
  flavor: Size,
): Promise<void> {
  const cores = flavor.vcpus - server.flavor.vcpus
  const ram = flavor.ramMib - server.flavor.ramMib
  if (cores <= 0 && ram <= 0) return
  const { projectId, userId } = server
  const add = { ...(cores > 0 && { cores }), ...(ram > 0 && { ram }) }
  await enforceQuota(ctx, tx, computeQuota, { projectId, userId, add })
}

/** For one that was deleted for a while, in the transaction that has just said that it counts again. */
export async function enforceReturn(
  ctx: Ctx,
  tx: Tx,
  { projectId, userId, flavor: { vcpus, ramMib } }: { projectId: string; userId: string; flavor: Size },
): Promise<void> {
  const add = { instances: 1, cores: vcpus, ram: ramMib }
  await enforceQuotaOfMade(ctx, tx, computeQuota, { projectId, userId, add })
}
