// A network with a way out for a project that does not care which: made at the first request, the same ever after.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuota } from "../../quota/index.ts"
import { autoAllocationFailed, autoTopologyNotFound, networkInUse } from "../faults.ts"
import { insertNetwork } from "../network/create.ts"
import { deletePortsAndSubnets } from "../network/delete.ts"
import { networkQuota } from "../quota.ts"
import { change } from "../resource/standard.ts"
import { everything } from "../resource/viewer.ts"
import { setGateway } from "../router/gateway.ts"
import { attachSubnet } from "../router/interface.ts"
import { loadRouter } from "../router/read.ts"
import { insertSubnet } from "../subnet/create.ts"
import { noteChanged } from "../sync/changes.ts"

export interface AutoTopology {
  networkId: string
  projectId: string
}

const ProjectId = Type.Object({ projectId: Type.String({ minLength: 1, maxLength: 255 }) })

export const getAutoTopology = operation({
  name: "network.auto_topology.get",
  input: ProjectId,
  faults: [autoAllocationFailed],
  rule: "get_auto_allocated_topology",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }): Promise<AutoTopology> =>
    await change(ctx, (tx) => ensureAutoTopology(ctx, tx, projectId)),
})

/** Whether `getAutoTopology` would succeed; makes nothing. */
export const checkAutoTopology = operation({
  name: "network.auto_topology.check",
  input: ProjectId,
  faults: [autoAllocationFailed],
  rule: "get_auto_allocated_topology",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, { projectId }) => await requireDefaults(ctx, projectId),
})

export async function requireDefaults(ctx: Pick<Ctx, "db">, projectId: string): Promise<void> {
  if (!(await findTopology(ctx.db, projectId))) await findDefaults(ctx.db)
}

/** For compute too, which asks in the name of the project. */
export async function ensureAutoTopology(ctx: Ctx, tx: Tx, projectId: string): Promise<AutoTopology> {
  const found = await findTopology(tx, projectId)
  if (found) return { networkId: found.networkId, projectId }
  await sql`select pg_advisory_xact_lock(hashtextextended(${`network.auto_topology:${projectId}`}, 0))`.execute(
    tx,
  )
  const made = (await findTopology(tx, projectId)) ?? (await makeTopology(ctx, tx, projectId))
  return { networkId: made.networkId, projectId }
}

interface Topology {
  networkId: string
  routerId: string
}

async function findTopology(db: DbOrTx, projectId: string): Promise<Topology | undefined> {
  const { rows } = await sql<Topology>`select network_id as "networkId", router_id as "routerId"
    from network.auto_topology where project_id = ${projectId}`.execute(db)
  return rows[0]
}

async function findDefaults(db: DbOrTx): Promise<{ externalId: string; versions: (4 | 6)[] }> {
  const external = await sql<{ id: string }>`select id from network.network
    where is_default and is_external`.execute(db)
  const [network] = external.rows
  if (!network) throw autoAllocationFailed("No default router:external network")
  const pools = await sql<{ version: 4 | 6 }>`select ip_version as version from network.subnet_pool
    where is_default order by ip_version`.execute(db)
  if (pools.rows.length === 0) throw autoAllocationFailed("No default pools available")
  return { externalId: network.id, versions: pools.rows.map((row) => row.version) }
}

async function makeTopology(ctx: Ctx, tx: Tx, projectId: string): Promise<Topology> {
  const { externalId, versions } = await findDefaults(tx)
  const add = { network: 1, subnet: versions.length, router: 1 }
  await enforceQuota(ctx, tx, networkQuota, asksOf([projectId], add))
  // Made for the project by the program, whoever asked: the caller's right was decided before.
  const own = Object.assign(Object.create(ctx) as Ctx, { caller: { ...ctx.caller, projectId } })
  const network = await insertNetwork(own, tx, { projectId, name: "auto_allocated_network" })
  const routerId = newUuid()
  await tx
    .insertInto("network.router")
    .values({ id: routerId, project_id: projectId, name: "auto_allocated_router" })
    .execute()
  noteChanged(tx, { routers: [routerId] })
  await setGateway(
    own,
    tx,
    { id: routerId, gateway: null, enableSnat: true },
    { networkId: externalId },
    everything,
  )
  for (const ipVersion of versions) {
    const subnet = await insertSubnet(own, tx, {
      projectId,
      networkId: network.id,
      name: `auto_allocated_subnet_v${ipVersion}`,
      ipVersion,
      useDefaultSubnetpool: true,
    })
    await attachSubnet(own, tx, await loadRouter(tx, routerId), subnet.id)
  }
  await tx
    .insertInto("network.auto_topology")
    .values({ project_id: projectId, network_id: network.id, router_id: routerId })
    .execute()
  return { networkId: network.id, routerId }
}

export const deleteAutoTopology = operation({
  name: "network.auto_topology.delete",
  input: ProjectId,
  faults: [autoTopologyNotFound, networkInUse],
  load: async (ctx, { projectId }) => {
    const topology = await findTopology(ctx.db, projectId)
    if (!topology) throw autoTopologyNotFound(projectId)
    return topology
  },
  rule: "delete_auto_allocated_topology",
  target: (_ctx, { projectId }) => ({ project_id: projectId }),
  run: async (ctx, _input, { networkId, routerId }) =>
    await change(ctx, async (tx) => {
      await sql`select from network.network where id = ${networkId} for update`.execute(tx)
      const { rows } = await sql`select from network.port where network_id = ${networkId}
        and device_owner <> 'network:distributed'
        and not (device_owner = 'network:router_interface' and device_id = ${routerId}) limit 1`.execute(tx)
      if (rows.length > 0) throw networkInUse(networkId)
      await sql`delete from network.router_interface where router_id = ${routerId}`.execute(tx)
      await sql`delete from network.port where device_id = ${routerId}
        and device_owner in ('network:router_interface', 'network:router_gateway')`.execute(tx)
      await sql`delete from network.router where id = ${routerId}`.execute(tx)
      noteChanged(tx, { routers: [routerId] })
      await deletePortsAndSubnets(tx, networkId)
      await sql`delete from network.rbac_policy where object_id = ${networkId}`.execute(tx)
      await sql`delete from network.network where id = ${networkId}`.execute(tx)
    }),
})
