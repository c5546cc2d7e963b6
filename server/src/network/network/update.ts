import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest, externalInUse, networkNotFound, revisionMismatch, sharingInUse } from "../faults.ts"
import { policyFaults, takeQosPolicy } from "../qos/use.ts"
import { grantAccess, revokeAccess } from "../rbac/grant.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { type Network, networkNoun, networkTarget } from "./network.ts"
import { loadNetwork, visibleNetwork } from "./read.ts"

const ruled = ruledFields(networkNoun.fields, "write")
const providerKeys = ["providerNetworkType", "providerPhysicalNetwork", "providerSegmentationId"] as const

export const updateNetwork = operation({
  name: "network.network.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: networkNoun.changes,
  }),
  faults: [networkNotFound, badRequest, sharingInUse, externalInUse, revisionMismatch, ...policyFaults],
  load: (ctx, { id }) => visibleNetwork(ctx, id),
  rules: ["update_network"],
  authorize: (_ctx, { changes }, before) => [
    ["update_network", networkTarget(before)],
    ...attributeRules("update_network", networkTarget(before), changes, ruled),
  ],
  run: async (ctx, { id: networkId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "network", networkId, networkNotFound, expectedRevision)
      const viewer = { ...viewerOf(ctx), seesAll: true }
      const before = await loadNetwork(tx, networkId, viewer)
      if (providerKeys.some((key) => changes[key] !== undefined && changes[key] !== before[key]))
        throw badRequest("Invalid input for operation: Plugin does not support updating provider attributes.")
      const mtuMax =
        before.providerNetworkType === "geneve"
          ? ctx.config.network.tunnelMtu
          : ctx.config.network.physicalMtu
      if (changes.mtu !== undefined && (changes.mtu > mtuMax || (changes.mtu !== 0 && changes.mtu < 68)))
        throw badRequest(`Invalid input for operation: Requested MTU must be from 68 to ${mtuMax}.`)
      if (changes.shared !== undefined) await setShared(tx, before, changes.shared)
      if (changes.routerExternal !== undefined) await setExternal(tx, before, changes.routerExternal)
      if (changes.isDefault)
        await sql`update network.network set is_default = false where is_default`.execute(tx)
      const qosPolicyId = await takeQosPolicy(ctx, tx, {
        wanted: changes.qosPolicyId,
        current: before.qosPolicyId,
        user: { noun: "network", id: networkId },
      })
      if (qosPolicyId !== undefined && qosPolicyId !== before.qosPolicyId)
        noteChanged(tx, { qosOfNetworks: [networkId] })
      await updateRow(tx, "network", networkId, {
        name: changes.name,
        description: changes.description,
        is_admin_up: changes.adminStateUp,
        is_external: changes.routerExternal,
        is_default: changes.isDefault,
        is_port_security_enabled: changes.portSecurityEnabled,
        mtu: changes.mtu === 0 ? mtuMax : changes.mtu,
        dns_domain: changes.dnsDomain,
        qos_policy_id: qosPolicyId,
      })
      const changed = await loadNetwork(tx, networkId, viewer)
      await notify(ctx, tx, "network", "update", [changed])
      return changed
    }),
})

async function setShared(tx: Tx, network: Network, isShared: boolean): Promise<void> {
  const grant = {
    projectId: network.projectId,
    objectType: "network",
    objectId: network.id,
    action: "access_as_shared",
  } as const
  if (isShared) return await grantAccess(tx, grant)
  await revokeAccess(tx, grant)
  // Whoever still has a right by another policy may stay.
  const { rows } = await sql`select from network.port p where p.network_id = ${network.id}
      and p.project_id not in ('', ${network.projectId}) and p.device_owner not like 'network:%'
      and not exists (select from network.rbac_policy r where r.object_id = p.network_id
        and r.object_type = 'network' and r.action = 'access_as_shared' and r.target_project = p.project_id)
    limit 1`.execute(tx)
  if (rows.length > 0) throw sharingInUse(network.id)
}

async function setExternal(tx: Tx, network: Network, isExternal: boolean): Promise<void> {
  const grant = {
    projectId: network.projectId,
    objectType: "network",
    objectId: network.id,
    action: "access_as_external",
  } as const
  if (isExternal) return await grantAccess(tx, grant)
  const { rows } = await sql`select from network.port where network_id = ${network.id}
    and device_owner in ('network:router_gateway', 'network:floatingip') limit 1`.execute(tx)
  if (rows.length > 0) throw externalInUse(network.id)
  await revokeAccess(tx, grant)
}
