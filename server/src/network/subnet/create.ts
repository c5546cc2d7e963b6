import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressNotInSubnet,
  badAllocationPool,
  badRequest,
  forbiddenProject,
  gatewayInPool,
  hostRoutesExhausted,
  nameserversExhausted,
  networkNotFound,
  poolOutOfBounds,
  poolsOverlap,
  subnetAllocationFailed,
  subnetPoolNotFound,
} from "../faults.ts"
import { isAutoAddressed, takeAddress } from "../ipam/allocate.ts"
import { autoAddress } from "../ipam/choose.ts"
import type { Network } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { refreshServicePort } from "../port/service-port.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, bumpRevision, change, ownerOf } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { prefixFromPool } from "../subnet-pool/allocate.ts"
import { noteChanged } from "../sync/changes.ts"
import { planSubnetAddresses } from "./plan.ts"
import { type Subnet, type SubnetInput, subnetNoun, subnetTarget } from "./subnet.ts"

const ruled = ruledFields(subnetNoun.fields, "write")

export const createSubnets = operation({
  name: "network.subnet.create",
  input: Type.Object({ items: Type.Array(subnetNoun.create) }),
  faults: [
    networkNotFound,
    badRequest,
    badAllocationPool,
    poolOutOfBounds,
    poolsOverlap,
    gatewayInPool,
    addressNotInSubnet,
    nameserversExhausted,
    hostRoutesExhausted,
    subnetAllocationFailed,
    forbiddenProject,
    subnetPoolNotFound,
  ],
  load: async (ctx, { items }) => {
    const networks: Network[] = []
    for (const input of items) {
      ownerOf(ctx, input.projectId)
      networks.push(await loadNetwork(ctx.db, input.networkId, viewerOf(ctx)))
    }
    return networks
  },
  rules: ["create_subnet"],
  authorize: (ctx, { items }, networks) =>
    items.flatMap((input, i) => {
      const network = networks[i]
      if (!network) return []
      const target = subnetTarget({
        projectId: ownerOf(ctx, input.projectId),
        networkProjectId: network.projectId,
        shared: network.shared,
        routerExternal: network.routerExternal,
      })
      return [["create_subnet", target] as const, ...attributeRules("create_subnet", target, input, ruled)]
    }),
  run: async (ctx, { items }, networks) =>
    await change(ctx, async (tx) => {
      const made: Subnet[] = []
      for (const [i, input] of items.entries())
        made.push(await insertSubnet(ctx, tx, { ...input, projectId: subnetOwner(ctx, input, networks[i]) }))
      await notify(ctx, tx, "subnet", "create", made)
      const owners = items.map((input, i) => subnetOwner(ctx, input, networks[i]))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { subnet: 1 }))
      return made
    }),
})

/** An administrator's subnet on a project's network is the administrator's, unless the request says whose. */
function subnetOwner(ctx: Ctx, input: SubnetInput, network: Network | undefined): string {
  return input.projectId ?? ctx.caller.projectId ?? network?.projectId ?? ownerOf(ctx, undefined)
}

/** The row and all that follows from it; no quota and no policy: those are the caller's. */
export async function insertSubnet(ctx: Ctx, tx: Tx, input: SubnetInput): Promise<Subnet> {
  const id = newUuid()
  const config = ctx.config.network
  checkServices(id, input, config)
  if (input.cidr && input.prefixlen !== undefined)
    throw badRequest("Bad subnets request: cidr and prefixlen must not be supplied together.")
  const pooled = await prefixFromPool(ctx, tx, input)
  const cidr = pooled?.cidr ?? input.cidr
  if (!cidr) throw badRequest("Bad subnets request: a subnetpool must be specified in the absence of a cidr.")
  const addresses = planSubnetAddresses({
    ...input,
    cidr,
    ipVersion: input.ipVersion ?? 4,
    enableDhcp: input.enableDhcp ?? true,
  })
  const made = await insertThing(
    tx,
    subnetNoun,
    { ...viewerOf(ctx), seesAll: true },
    {
      values: {
        id,
        network_id: input.networkId,
        project_id: ownerOf(ctx, input.projectId),
        name: input.name ?? "",
        description: input.description ?? "",
        tags: [...new Set(input.tags ?? [])],
        ip_version: addresses.ipVersion,
        cidr: addresses.cidr,
        gateway_ip: addresses.gatewayIp,
        is_dhcp_enabled: input.enableDhcp ?? true,
        ipv6_ra_mode: input.ipv6RaMode ?? null,
        ipv6_address_mode: input.ipv6AddressMode ?? null,
        dns_nameservers: input.dnsNameservers ?? [],
        host_routes: JSON.stringify(input.hostRoutes ?? []),
        subnet_pool_id: pooled?.poolId ?? null,
        service_types: input.serviceTypes ?? [],
        is_dns_published: input.dnsPublishFixedIp ?? false,
      },
      with: [
        sql`insert into network.allocation_pool (subnet_id, first_address, last_address)
        select made.id, p.first, p.last from made, unnest(${addresses.pools.map((p) => p.start)}::inet[],
          ${addresses.pools.map((p) => p.end)}::inet[]) p (first, last)`,
        sql`update network.network n set generation = n.generation + 1, updated_at = now()
        from made where n.id = made.network_id`,
      ],
    },
  )
  if (!made) {
    throw badRequest(
      `Invalid input for operation: Requested subnet with cidr: ${addresses.cidr} for network: ${input.networkId} overlaps with another subnet.`,
    )
  }
  noteChanged(tx, { subnets: [id], networks: [input.networkId] })
  const subnet = { ...made, allocationPools: addresses.pools }
  if (isAutoAddressed(subnet)) await addressExistingPorts(tx, subnet)
  await refreshServicePort(ctx, tx, input.networkId)
  return subnet
}

export async function insertPools(
  tx: Tx,
  subnetId: string,
  pools: readonly { start: string; end: string }[],
): Promise<void> {
  if (pools.length === 0) return
  await tx
    .insertInto("network.allocation_pool")
    .values(pools.map((p) => ({ subnet_id: subnetId, first_address: p.start, last_address: p.end })))
    .execute()
}

export function checkServices(
  id: string,
  input: { dnsNameservers?: string[] | undefined; hostRoutes?: unknown[] | undefined },
  config: Ctx["config"]["network"],
): void {
  if ((input.dnsNameservers?.length ?? 0) > config.nameserversMax)
    throw nameserversExhausted(id, config.nameserversMax)
  if ((input.hostRoutes?.length ?? 0) > config.hostRoutesMax)
    throw hostRoutesExhausted(id, config.hostRoutesMax)
}

/** Machines that are on the network already give themselves an address of the new subnet too. */
async function addressExistingPorts(tx: Tx, subnet: Subnet): Promise<void> {
  const { rows } = await sql<{ id: string; mac: string; position: number }>`
    select p.id, p.mac_address::text as mac,
      (select count(*) from network.ip_allocation a where a.port_id = p.id)::integer as position
    from network.port p where p.network_id = ${subnet.networkId} and p.device_owner not like 'network:%'`.execute(
    tx,
  )
  for (const port of rows) {
    const allocation = {
      subnetId: subnet.id,
      networkId: subnet.networkId,
      portId: port.id,
      position: port.position,
    }
    await takeAddress(tx, allocation, autoAddress(subnet, port.mac))
  }
  await bumpRevision(
    tx,
    "port",
    rows.map((port) => port.id),
  )
}
