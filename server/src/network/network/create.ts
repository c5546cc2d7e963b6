import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest, flatNetworkInUse, noSegmentLeft, tunnelInUse, vlanInUse } from "../faults.ts"
import { enforceNetworkQuota } from "../quota.ts"
import { grantAccess } from "../rbac/grant.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf, ProjectInput, TagsInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { type Network, networkAttributes, networkTarget } from "./network.ts"
import { loadNetwork } from "./read.ts"
import { freeSegmentationId, planSegment, type Segment, segmentTaken } from "./segment.ts"

export const NetworkInput = Type.Object({
  projectId: ProjectInput,
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  adminStateUp: Type.Optional(Type.Boolean()),
  shared: Type.Optional(Type.Boolean()),
  routerExternal: Type.Optional(Type.Boolean()),
  isDefault: Type.Optional(Type.Boolean()),
  mtu: Type.Optional(Type.Integer({ minimum: 0 })),
  portSecurityEnabled: Type.Optional(Type.Boolean()),
  providerNetworkType: Type.Optional(Type.String()),
  providerPhysicalNetwork: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  providerSegmentationId: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
  dnsDomain: Type.Optional(Type.String({ maxLength: 255 })),
  availabilityZoneHints: Type.Optional(Type.Array(Type.String())),
  tags: TagsInput,
})
export type NetworkInput = Static<typeof NetworkInput>

/** Makes one network or several, all or none. */
export const createNetworks = operation({
  name: "network.network.create",
  input: Type.Object({ networks: Type.Array(NetworkInput) }),
  faults: [badRequest, flatNetworkInUse, noSegmentLeft, tunnelInUse, vlanInUse],
  authorize: (ctx, { networks }) =>
    networks.flatMap((input) => {
      const target = networkTarget({
        projectId: ownerOf(ctx, input.projectId),
        shared: input.shared ?? false,
        routerExternal: input.routerExternal ?? false,
      })
      return [
        ["create_network", target] as const,
        ...attributeRules("create_network", target, explicit(input), networkAttributes.write),
      ]
    }),
  run: async (ctx, { networks }) =>
    await change(ctx, async (tx) => {
      const made: Network[] = []
      const owners = networks.map((input) => ownerOf(ctx, input.projectId))
      await enforceNetworkQuota(tx, "network", owners)
      for (const input of networks) made.push(await insertNetwork(ctx, tx, input))
      await notify(ctx, tx, "network", "create", made)
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
  const id = newUuid()
  const zones = input.availabilityZoneHints ?? []
  const unknownZone = zones.find((zone) => zone !== config.availabilityZone)
  if (unknownZone !== undefined) throw badRequest(`AvailabilityZone ${unknownZone} could not be found.`)
  for (let attempt = 0; ; attempt++) {
    const number =
      segment.type === "flat"
        ? null
        : (segment.segmentationId ?? (await freeSegmentationId(tx, config, segment)))
    if (segment.type !== "flat" && number === null) throw noSegmentLeft()
    const isInserted = await insertRow(tx, ctx, input, { id, projectId, segment, number, zones })
    if (isInserted) break
    if (segment.type === "flat" || segment.segmentationId !== null || attempt >= attemptsMax)
      throw segmentTaken(segment, number)
  }
  noteChanged(tx, { networks: [id] })
  if (input.shared)
    await grantAccess(tx, { projectId, objectType: "network", objectId: id, action: "access_as_shared" })
  if (input.routerExternal)
    await grantAccess(tx, { projectId, objectType: "network", objectId: id, action: "access_as_external" })
  return await loadNetwork(tx, id, { ...viewerOf(ctx), seesAll: true })
}

async function insertRow(
  tx: Tx,
  ctx: Ctx,
  input: NetworkInput,
  made: { id: string; projectId: string; segment: Segment; number: number | null; zones: string[] },
): Promise<boolean> {
  const { segment } = made
  const config = ctx.config.network
  const mtuMax = segment.type === "geneve" ? config.tunnelMtu : config.physicalMtu
  const mtu = input.mtu ? input.mtu : mtuMax
  if (mtu > mtuMax)
    throw badRequest(`Invalid input for operation: Requested MTU is too big, maximum is ${mtuMax}.`)
  if (mtu < 68) throw badRequest("Invalid input for operation: Requested MTU is too small, minimum is 68.")
  if (input.isDefault) {
    if (!input.routerExternal)
      throw badRequest("Invalid input for is_default: only an external network can be the default.")
    await sql`update network.network set is_default = false where is_default`.execute(tx)
  }
  const row = await tx
    .insertInto("network.network")
    .values({
      id: made.id,
      project_id: made.projectId,
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
      segmentation_id: made.number,
      dns_domain: input.dnsDomain ?? "",
      availability_zone_hints: made.zones,
    })
    .onConflict((oc) => oc.doNothing())
    .returning("id")
    .executeTakeFirst()
  return row !== undefined
}
