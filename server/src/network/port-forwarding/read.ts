import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { findThing, ListQuery } from "../../platform/noun/list.ts"
import { type Listed, listPage } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { floatingIpNotFound, portForwardingNotFound } from "../faults.ts"
import { type FloatingIp, floatingIpTarget } from "../floating-ip/floating-ip.ts"
import { loadFloatingIp } from "../floating-ip/read.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type PortForwarding, portForwardingNoun } from "./port-forwarding.ts"

export const OfFloatingIp = Type.Object({ floatingIpId: Type.String() })
export const OnePortForwarding = Type.Object({ floatingIpId: Type.String(), id: Type.String() })

/** The one of this floating IP. */
export async function loadPortForwarding(
  db: DbOrTx,
  floatingIpId: string,
  id: string,
  viewer: Viewer = everything,
): Promise<PortForwarding> {
  const found = await findThing(db, portForwardingNoun, viewer, id)
  if (found?.floatingIpId !== floatingIpId) throw portForwardingNotFound(id)
  return found
}

/** For an operation's `load`: what is told of first that is not there is the floating IP. */
export async function loadSeen(
  ctx: Ctx,
  { floatingIpId, id }: { floatingIpId: string; id: string },
): Promise<PortForwarding> {
  const { id: found } = await loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx))
  return await loadPortForwarding(ctx.db, found, id, viewerOf(ctx))
}

/** Who may do what with the floating IP's may do it with its forwardings. */
export const portForwardingTarget = floatingIpTarget

export const getPortForwarding = operation({
  name: "network.port_forwarding.get",
  input: OnePortForwarding,
  faults: [floatingIpNotFound, portForwardingNotFound],
  load: loadSeen,
  rule: "get_floatingip_port_forwarding",
  target: (_ctx, _input, forwarding) => portForwardingTarget(forwarding),
  run: async (_ctx, _input, forwarding) => forwarding,
})

export const listPortForwardings = operation({
  name: "network.port_forwarding.list",
  input: Type.Unsafe<ListQuery & { floatingIpId: string }>(Type.Intersect([ListQuery, OfFloatingIp])),
  faults: [floatingIpNotFound, portForwardingNotFound],
  load: (ctx, { floatingIpId }): Promise<FloatingIp> => loadFloatingIp(ctx.db, floatingIpId, viewerOf(ctx)),
  rule: "get_floatingip_port_forwarding",
  target: (_ctx, _input, floatingIp) => portForwardingTarget(floatingIp),
  run: async (ctx, { floatingIpId, ...query }): Promise<Listed<PortForwarding>> => {
    const within = sql<boolean>`w.floating_ip_id = ${floatingIpId}`
    return await listPage(ctx.db, portForwardingNoun, viewerOf(ctx), { ...query, within })
  },
})
