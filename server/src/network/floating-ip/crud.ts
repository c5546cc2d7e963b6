import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing, loadThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressesBusy,
  addressInUse,
  addressNotInNetwork,
  badRequest,
  floatingIpNotFound,
  floatingIpTargetTaken,
  forbiddenProject,
  networkNotFound,
  noAddressLeft,
  noExternalAddressLeft,
  notReachable,
  portNotFound,
  revisionMismatch,
  subnetNotOfNetwork,
} from "../faults.ts"
import { loadNetwork } from "../network/read.ts"
import { insertPort } from "../port/insert.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, lockRow, ownerOf, RevisionInput, updateRow } from "../resource/standard.ts"
import { getOf, listOf } from "../resource/verbs.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { pointFloatingIp } from "./associate.ts"
import { type FloatingIp, type FloatingIpInput, floatingIpNoun, floatingIpTarget } from "./floating-ip.ts"

export async function loadFloatingIp(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<FloatingIp> {
  return await loadThing(db, floatingIpNoun, viewer, id)
}

const asked = { rule: "get_floatingip", target: floatingIpTarget }

export const getFloatingIp = getOf(floatingIpNoun, asked)
export const listFloatingIps = listOf(floatingIpNoun, asked)

const ruled = ruledFields(floatingIpNoun.fields, "write")

export const createFloatingIps = operation({
  name: "network.floating_ip.create",
  input: Type.Object({ items: Type.Array(floatingIpNoun.create) }),
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
    subnetNotOfNetwork,
    forbiddenProject,
  ],
  rules: ["create_floatingip"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = floatingIpTarget({ projectId: ownerOf(ctx, input.projectId) })
      return [
        ["create_floatingip", target] as const,
        ...attributeRules("create_floatingip", target, input, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: FloatingIp[] = []
      for (const input of items) made.push(await insertFloatingIp(ctx, tx, input))
      await notify(ctx, tx, "floatingip", "create", made)
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { floatingip: 1 }))
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
  const made = await insertThing(tx, floatingIpNoun, everything, {
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
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: floatingIpNoun.changes,
  }),
  faults: [
    floatingIpNotFound,
    portNotFound,
    badRequest,
    notReachable,
    floatingIpTargetTaken,
    revisionMismatch,
  ],
  load: (ctx, { id }) => loadFloatingIp(ctx.db, id, viewerOf(ctx)),
  rule: "update_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (ctx, { id: floatingIpId, expectedRevision, changes }) =>
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
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [floatingIpNotFound, revisionMismatch],
  load: (ctx, { id }) => loadFloatingIp(ctx.db, id, viewerOf(ctx)),
  rule: "delete_floatingip",
  target: (_ctx, _input, fip) => floatingIpTarget(fip),
  run: async (ctx, { id: floatingIpId, expectedRevision }, fip) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound, expectedRevision)
      await sql`delete from network.floating_ip where id = ${floatingIpId}`.execute(tx)
      await sql`delete from network.port where id = ${fip.floatingPortId}`.execute(tx)
      await notify(ctx, tx, "floatingip", "delete", [fip])
    }),
})
