import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  floatingIpForwards,
  floatingIpNotFound,
  floatingIpTargetTaken,
  notReachable,
  portHasForwardings,
  portNotFound,
  revisionMismatch,
} from "../faults.ts"
import { policyFaults, takeQosPolicy } from "../qos/use.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { pointFloatingIp } from "./associate.ts"
import { floatingIpNoun, floatingIpTarget } from "./floating-ip.ts"
import { loadFloatingIp } from "./read.ts"

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
    portHasForwardings,
    floatingIpForwards,
    revisionMismatch,
    ...policyFaults,
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
      // One with port forwardings points at no port, and stays on their router.
      if (wasAsked && portId === null && fip.portId !== null) {
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
          { viewer: viewerOf(ctx), isDistributed: ctx.config.network.enableDistributedFloatingIp },
        )
      }
      const qosPolicyId = await takeQosPolicy(ctx, tx, {
        wanted: changes.qosPolicyId,
        current: fip.qosPolicyId,
        user: { noun: "floating IP", id: floatingIpId },
      })
      if (changes.description !== undefined || qosPolicyId !== undefined)
        await updateRow(tx, "floatingIp", floatingIpId, {
          description: changes.description,
          qos_policy_id: qosPolicyId,
        })
      const changed = await loadFloatingIp(tx, floatingIpId)
      await notify(ctx, tx, "floatingip", "update", [changed])
      return changed
    }),
})
