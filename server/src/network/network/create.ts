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
  badRequest,
  flatNetworkInUse,
  forbiddenProject,
  noSegmentLeft,
  tunnelInUse,
  vlanInUse,
} from "../faults.ts"
import { defaultQosPolicy, holdQosPolicy, policyFaults, takeQosPolicy } from "../qos/use.ts"
import { networkQuota } from "../quota.ts"
import { grantAccess } from "../rbac/grant.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf } from "../resource/standard.ts"
import { type Viewer, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { type Network, type NetworkInput, networkNoun, networkTarget } from "./network.ts"
import { loadNetwork } from "./read.ts"
import { anyTunnelId, freeSegmentationId, planSegment, type Segment, segmentTaken } from "./segment.ts"

const ruled = ruledFields(networkNoun.fields, "write")

/** Makes one network or several, all or none. */
export const createNetworks = operation({
  name: "network.network.create",
  input: Type.Object({ items: Type.Array(networkNoun.create) }),
  faults: [
    badRequest,
    flatNetworkInUse,
    noSegmentLeft,
    tunnelInUse,
    vlanInUse,
    forbiddenProject,
    ...policyFaults,
  ],
  rules: ["create_network"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = networkTarget({
        projectId: ownerOf(ctx, input.projectId),
        shared: input.shared ?? false,
        routerExternal: input.routerExternal ?? false,
      })
      return [
        ["create_network", target] as const,
        ...attributeRules("create_network", target, explicit(input), ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: Network[] = []
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      for (const input of items) made.push(await insertNetwork(ctx, tx, input))
      await notify(ctx, tx, "network", "create", made)
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { network: 1 }))
      return made
    }),
})

/** An attribute that says its default needs no right. */
function explicit(input: NetworkInput): Record<string, unknown> {
  const given: Record<string, unknown> = { ...input }
  for (const key of ["shared", "routerExternal", "isDefault"]) if (given[key] === false) delete given[key]
  if (given.portSecurityEnabled === true) delete given.portSecurityEnabled
  return given
}

const attemptsMax = 50

/** The row and what goes with it; no quota and no policy: those are the caller's. */
export async function insertNetwork(ctx: Ctx, tx: Tx, input: NetworkInput): Promise<Network> {
  const config = ctx.config.network
  const segment = planSegment(config, input)
  const projectId = ownerOf(ctx, input.projectId)
  const unknownZone = input.availabilityZoneHints?.find((zone) => zone !== config.availabilityZone)
  if (unknownZone !== undefined) throw badRequest(`AvailabilityZone ${unknownZone} could not be found.`)
  const values = rowOf(ctx, input, segment)
  if (input.isDefault) {
    if (!input.routerExternal)
      throw badRequest("Invalid input for is_default: only an external network can be the default.")
    await sql`update network.network set is_default = false where is_default`.execute(tx)
  }
  const viewer = { ...viewerOf(ctx), seesAll: true }
  const { qosPolicyId: wanted } = input
  const made = await insertWithSegment(tx, config, viewer, segment, {
    ...values,
    project_id: projectId,
    // Neutron takes null for nothing said.
    qos_policy_id: wanted
      ? await takeQosPolicy(ctx, tx, { wanted, user: { noun: "network", id: values.id } })
      : defaultQosPolicy(projectId),
  })
  if (!wanted && made.qosPolicyId) await holdQosPolicy(tx, made.qosPolicyId, { noun: "network", id: made.id })
  noteChanged(tx, { networks: [made.id] })
  const grants = [
    ...(input.shared ? (["access_as_shared"] as const) : []),
    ...(input.routerExternal ? (["access_as_external"] as const) : []),
  ]
  if (grants.length === 0) return made
  for (const action of grants)
    await grantAccess(tx, { projectId, objectType: "network", objectId: made.id, action })
  return await loadNetwork(tx, made.id, viewer)
}

type Values = Readonly<Record<string, unknown>>

async function insertWithSegment(
  tx: Tx,
  config: Ctx["config"]["network"],
  viewer: Viewer,
  segment: Segment,
  values: Values,
): Promise<Network> {
  const insert = (segmentation_id: unknown) =>
    insertThing(tx, networkNoun, viewer, { values: { ...values, segmentation_id } })
  if (segment.type === "flat" || segment.segmentationId !== null) {
    const made = await insert(segment.segmentationId)
    if (!made) throw segmentTaken(segment, segment.segmentationId)
    return made
  }
  if (segment.type === "geneve") {
    const made = await insert(anyTunnelId(config))
    if (made) return made
  }
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const number = await freeSegmentationId(tx, config, segment)
    if (number === null) break
    const made = await insert(number)
    if (made) return made
  }
  throw noSegmentLeft()
}

function rowOf(ctx: Ctx, input: NetworkInput, segment: Segment): Values & { id: string } {
  const config = ctx.config.network
  const mtuMax = segment.type === "geneve" ? config.tunnelMtu : config.physicalMtu
  const mtu = input.mtu ? input.mtu : mtuMax
  if (mtu > mtuMax)
    throw badRequest(`Invalid input for operation: Requested MTU is too big, maximum is ${mtuMax}.`)
  if (mtu < 68) throw badRequest("Invalid input for operation: Requested MTU is too small, minimum is 68.")
  return {
    id: newUuid(),
    name: input.name ?? "",
    description: input.description ?? "",
    tags: [...new Set(input.tags ?? [])],
    is_admin_up: input.adminStateUp ?? true,
    is_external: input.routerExternal ?? false,
    is_default: input.isDefault ?? false,
    is_port_security_enabled: input.portSecurityEnabled ?? true,
    mtu,
    provider_type: segment.type,
    physical_network: segment.physicalNetwork,
    dns_domain: input.dnsDomain ?? "",
    availability_zone_hints: input.availabilityZoneHints ?? [],
  }
}
