import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  addressesBusy,
  addressInUse,
  addressNotInNetwork,
  badRequest,
  floatingIpNotFound,
  floatingIpTargetTaken,
  networkNotFound,
  noAddressLeft,
  noExternalAddressLeft,
  notReachable,
  portNotFound,
} from "../faults.ts"
import { loadNetwork } from "../network/read.ts"
import { insertPort } from "../port/insert.ts"
import { enforceNetworkQuotaOfMade } from "../quota.ts"
import { findRow, insertRow, listed, listRows } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import { notify } from "../resource/notify.ts"
import {
  attributeRules,
  change,
  lockRow,
  ownerOf,
  ProjectInput,
  RevisionInput,
  TagsInput,
  updateRow,
} from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { pointFloatingIp } from "./associate.ts"
import { type FloatingIp, floatingIpSource, floatingIpTarget } from "./floating-ip.ts"

const orNull = Type.Optional(Type.Union([Type.String(), Type.Null()]))

export const FloatingIpInput = Type.Object({
  projectId: ProjectInput,
  floatingNetworkId: Type.String(),
  subnetId: orNull,
  floatingIpAddress: orNull,
  portId: orNull,
  fixedIpAddress: orNull,
  description: Type.Optional(Type.String({ maxLength: 255 })),
  dnsName: Type.Optional(Type.String({ maxLength: 255 })),
  dnsDomain: Type.Optional(Type.String({ maxLength: 255 })),
  tags: TagsInput,
})
export type FloatingIpInput = Static<typeof FloatingIpInput>

export async function loadFloatingIp(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<FloatingIp> {
  const floatingIp = await findRow<FloatingIp>(db, floatingIpSource(viewer), id)
  if (!floatingIp) throw floatingIpNotFound(id)
  return floatingIp
}

export const getFloatingIp = operation({
  name: "network.floating_ip.get",
  input: Type.Object({ floatingIpId: Type.String() }),
  faults: [floatingIpNotFound],
  load: (ctx, { floatingIpId }) => loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx)),
  rule: "get_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (_ctx, _input, fip) => fip,
})

export const listFloatingIps = listOperation<FloatingIp>({
  name: "network.floating_ip.list",
  rule: "get_floatingip",
  run: async (ctx, query) => {
    const fips = await listRows<FloatingIp>(ctx.db, floatingIpSource(viewerOf(ctx)), query)
    return listed(ctx, "get_floatingip", fips, floatingIpTarget)
  },
})

export const createFloatingIps = operation({
  name: "network.floating_ip.create",
  input: Type.Object({ floatingIps: Type.Array(FloatingIpInput) }),
  faults: [
    networkNotFound,
    portNotFound,
    badRequest,
    addressInUse,
    addressNotInNetwork,
    addressesBusy,
    noAddressLeft,
    noExternalAddressLeft,
    notReachable,
    floatingIpTargetTaken,
  ],
  rules: ["create_floatingip"],
  authorize: (ctx, { floatingIps }) =>
    floatingIps.flatMap((input) => {
      const target = floatingIpTarget({ projectId: ownerOf(ctx, input.projectId) })
      return [
        ["create_floatingip", target] as const,
        ...attributeRules(
          "create_floatingip",
          target,
          { floatingIpAddress: input.floatingIpAddress ?? undefined, tags: input.tags },
          { floatingIpAddress: "floating_ip_address", tags: "tags" },
        ),
      ]
    }),
  run: async (ctx, { floatingIps }) =>
    await change(ctx, async (tx) => {
      const made: FloatingIp[] = []
      for (const input of floatingIps) made.push(await insertFloatingIp(ctx, tx, input))
      await notify(ctx, tx, "floatingip", "create", made)
      await enforceNetworkQuotaOfMade(
        tx,
        "floatingip",
        floatingIps.map((input) => ownerOf(ctx, input.projectId)),
      )
      return made
    }),
})

async function insertFloatingIp(ctx: Ctx, tx: Tx, input: FloatingIpInput): Promise<FloatingIp> {
  const network = await loadNetwork(tx, input.floatingNetworkId, viewerOf(ctx))
  if (!network.routerExternal)
    throw badRequest(`Bad floatingip request: Network ${network.id} is not a valid external network.`)
  if (input.fixedIpAddress && !input.portId)
    throw badRequest("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
  const projectId = ownerOf(ctx, input.projectId)
  const id = newUuid()
  const asked = {
    ...(input.subnetId ? { subnetId: input.subnetId } : {}),
    ...(input.floatingIpAddress ? { ipAddress: input.floatingIpAddress } : {}),
  }
  const port = await insertPort(tx, {
    networkId: network.id,
    projectId: "",
    deviceId: id,
    deviceOwner: "network:floatingip",
    status: "N/A",
    portSecurityEnabled: false,
    ...(Object.keys(asked).length > 0 ? { fixedIps: [asked] } : {}),
  })
  noteChanged(tx, { floatingIps: [id] })
  const address = port.fixedIps.find((ip) => !ip.ipAddress.includes(":"))?.ipAddress
  if (!address) throw noExternalAddressLeft(network.id)
  const made = await insertRow<FloatingIp>(tx, floatingIpSource(everything), {
    values: {
      id,
      project_id: projectId,
      description: input.description ?? "",
      floating_network_id: network.id,
      floating_port_id: port.id,
      address,
      dns_name: input.dnsName ?? "",
      dns_domain: input.dnsDomain ?? "",
      tags: [...new Set(input.tags ?? [])],
    },
  })
  if (!made) throw addressInUse(address, `network ${network.id}`)
  if (!input.portId) return made
  const fip = { id, projectId, floatingNetworkId: network.id, floatingIpAddress: address }
  await pointFloatingIp(
    tx,
    fip,
    { portId: input.portId, fixedIpAddress: input.fixedIpAddress ?? undefined },
    viewerOf(ctx),
  )
  return await loadFloatingIp(tx, id)
}

export const updateFloatingIp = operation({
  name: "network.floating_ip.update",
  input: Type.Object({
    floatingIpId: Type.String(),
    expectedRevision: RevisionInput,
    changes: Type.Pick(FloatingIpInput, ["portId", "fixedIpAddress", "description"]),
  }),
  faults: [floatingIpNotFound, portNotFound, badRequest, notReachable, floatingIpTargetTaken],
  load: (ctx, { floatingIpId }) => loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx)),
  rule: "update_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (ctx, { floatingIpId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound, expectedRevision)
      const fip = await loadFloatingIp(tx, floatingIpId)
      const portId = changes.portId === undefined ? fip.portId : changes.portId
      if (changes.fixedIpAddress && !portId)
        throw badRequest("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
      const wasAsked = changes.portId !== undefined || changes.fixedIpAddress !== undefined
      if (wasAsked && portId === null) {
        await updateRow(tx, "floatingIp", floatingIpId, {
          fixed_port_id: null,
          fixed_ip_address: null,
          router_id: null,
          status: "DOWN",
        })
      } else if (wasAsked && portId !== null) {
        await pointFloatingIp(
          tx,
          fip,
          { portId, fixedIpAddress: changes.fixedIpAddress ?? undefined },
          viewerOf(ctx),
        )
      }
      if (changes.description !== undefined)
        await updateRow(tx, "floatingIp", floatingIpId, { description: changes.description })
      const changed = await loadFloatingIp(tx, floatingIpId)
      await notify(ctx, tx, "floatingip", "update", [changed])
      return changed
    }),
})

export const deleteFloatingIp = operation({
  name: "network.floating_ip.delete",
  input: Type.Object({ floatingIpId: Type.String(), expectedRevision: RevisionInput }),
  faults: [floatingIpNotFound],
  load: (ctx, { floatingIpId }) => loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx)),
  rule: "delete_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (ctx, { floatingIpId, expectedRevision }, fip) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound, expectedRevision)
      await sql`delete from network.floating_ip where id = ${floatingIpId}`.execute(tx)
      await sql`delete from network.port where id = ${fip.floatingPortId}`.execute(tx)
      await notify(ctx, tx, "floatingip", "delete", [fip])
    }),
})
