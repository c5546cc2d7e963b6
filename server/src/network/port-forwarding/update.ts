import { Type } from "typebox"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { floatingIpNotFound, portForwardingNotFound } from "../faults.ts"
import { loadFloatingIp } from "../floating-ip/read.ts"
import { notify } from "../resource/notify.ts"
import { bumpRevision, change, lockRow } from "../resource/standard.ts"
import { everything, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { checkForwarding, checkRelation, lockPort, rangeOf } from "./check.ts"
import { forwardingFaults } from "./create.ts"
import { type PortForwarding, type PortForwardingChanges, portForwardingNoun } from "./port-forwarding.ts"
import { loadPortForwarding, loadSeen, OnePortForwarding, portForwardingTarget } from "./read.ts"

export const updatePortForwarding = operation({
  name: "network.port_forwarding.update",
  input: Type.Object({ ...OnePortForwarding.properties, changes: portForwardingNoun.changes }),
  faults: [...forwardingFaults, portForwardingNotFound],
  load: loadSeen,
  rule: "update_floatingip_port_forwarding",
  target: (_ctx, _input, forwarding) => portForwardingTarget(forwarding),
  run: async (ctx, { floatingIpId, id: forwardingId, changes }, seen) =>
    await change(ctx, async (tx) => {
      const { internalPortId } = changes
      // Only a port that is named must be one that the caller sees.
      if (internalPortId !== undefined) await lockPort(tx, internalPortId, viewerOf(ctx))
      else await lockPort(tx, seen.internalPortId, everything)
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound)
      const before = await loadPortForwarding(tx, floatingIpId, forwardingId)
      const wanted = changedForwarding(before, changes)
      checkRelation(wanted.internal, wanted.external, ctx.config.network.portForwardingRangeMax)
      const found = await checkForwarding(tx, await loadFloatingIp(tx, floatingIpId), wanted)
      const changed = await updateThing(tx, portForwardingNoun, everything, forwardingId, {
        internal_port_id: wanted.internalPortId,
        internal_ip_address: found.internalIpAddress,
        protocol: wanted.protocol,
        internal_port_first: wanted.internal.first,
        internal_port_last: wanted.internal.last,
        external_port_first: wanted.external.first,
        external_port_last: wanted.external.last,
        description: changes.description,
      })
      if (!changed) throw portForwardingNotFound(forwardingId)
      await bumpRevision(tx, "floatingIp", [floatingIpId])
      noteChanged(tx, { portForwardings: [forwardingId] })
      await notify(ctx, tx, "port_forwarding", "update", [changed])
      return changed
    }),
})

/** What is not said stays; an address that goes with another port is chosen anew. */
function changedForwarding(before: PortForwarding, changes: PortForwardingChanges) {
  const { internalPortId = before.internalPortId, protocol = before.protocol } = changes
  const kept = internalPortId === before.internalPortId ? before.internalIpAddress : undefined
  const range = (key: "internal" | "external") =>
    rangeOf(`${key}_port`, changes[`${key}Port`], changes[`${key}PortRange`]) ??
    rangeOf(`${key}_port`, undefined, before[`${key}PortRange`])
  const [internal, external] = [range("internal"), range("external")]
  if (!internal || !external) throw new Error(`port forwarding ${before.id} has no ports`)
  const internalIpAddress = changes.internalIpAddress ?? kept
  return { id: before.id, protocol, internalPortId, internalIpAddress, internal, external }
}
