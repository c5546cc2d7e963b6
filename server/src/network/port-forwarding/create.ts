import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  badPortForwarding,
  floatingIpNotFound,
  floatingIpTargetTaken,
  portForwardingCollides,
  portHasFloatingIp,
  portNotFound,
} from "../faults.ts"
import { loadFloatingIp } from "../floating-ip/read.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { change, lockRow, updateRow } from "../resource/standard.ts"
import { everything, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { checkForwarding, checkRelation, lockPort, rangeOf } from "./check.ts"
import { type PortForwarding, type PortForwardingInput, portForwardingNoun } from "./port-forwarding.ts"
import { portForwardingTarget } from "./read.ts"

/** What may be wrong with a port forwarding, new or changed. */
export const forwardingFaults = [
  floatingIpNotFound,
  portNotFound,
  badPortForwarding,
  portForwardingCollides,
  floatingIpTargetTaken,
  portHasFloatingIp,
]

export const createPortForwardings = operation({
  name: "network.port_forwarding.create",
  input: Type.Object({ floatingIpId: Type.String(), items: Type.Array(portForwardingNoun.create) }),
  faults: forwardingFaults,
  load: (ctx, { floatingIpId }) => loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx)),
  rule: "create_floatingip_port_forwarding",
  target: (_ctx, _input, floatingIp) => portForwardingTarget(floatingIp),
  run: async (ctx, { floatingIpId, items }, { projectId }) =>
    await change(ctx, async (tx) => {
      const portIds = new Set(items.map((item) => item.internalPortId))
      for (const portId of [...portIds].sort()) await lockPort(tx, portId, viewerOf(ctx))
      await lockRow(tx, "floatingIp", floatingIpId, floatingIpNotFound)
      const made: PortForwarding[] = []
      for (const input of items) made.push(await insertForwarding(ctx, tx, floatingIpId, input))
      noteChanged(tx, { portForwardings: made.map(({ id }) => id) })
      await notify(ctx, tx, "port_forwarding", "create", made)
      const owners = items.map(() => projectId)
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { port_forwarding: 1 }))
      return made
    }),
})

async function insertForwarding(
  ctx: Ctx,
  tx: Tx,
  floatingIpId: string,
  input: PortForwardingInput,
): Promise<PortForwarding> {
  const internal = rangeOf("internal_port", input.internalPort, input.internalPortRange)
  const external = rangeOf("external_port", input.externalPort, input.externalPortRange)
  if (!internal) throw badPortForwarding("internal_port or internal_port_range must be specified")
  if (!external) throw badPortForwarding("external_port or external_port_range must be specified")
  checkRelation(internal, external, ctx.config.network.portForwardingRangeMax)
  const { protocol, internalPortId, internalIpAddress } = input
  const id = newUuid()
  const fip = await loadFloatingIp(tx, floatingIpId)
  const wanted = { id, protocol, internalPortId, internalIpAddress, internal, external }
  const found = await checkForwarding(tx, fip, wanted)
  const made = await insertThing(tx, portForwardingNoun, everything, {
    values: {
      id,
      project_id: fip.projectId,
      floating_ip_id: fip.id,
      internal_port_id: internalPortId,
      internal_ip_address: found.internalIpAddress,
      protocol,
      internal_port_first: internal.first,
      internal_port_last: internal.last,
      external_port_first: external.first,
      external_port_last: external.last,
      description: input.description ?? "",
    },
    constraint: "port_forwarding_pkey",
  })
  if (!made) throw new Error(`two port forwardings have the id ${id}`)
  await updateRow(tx, "floatingIp", fip.id, { router_id: found.routerId })
  return made
}
