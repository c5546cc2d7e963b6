import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { subnetNotFound } from "../faults.ts"
import { findRow, listed, listRows } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Subnet, subnetSource, subnetTarget } from "./subnet.ts"

export async function loadSubnet(db: DbOrTx, subnetId: string, viewer: Viewer = everything): Promise<Subnet> {
  const subnet = await findRow<Subnet>(db, subnetSource(viewer), subnetId)
  if (!subnet) throw subnetNotFound(subnetId)
  return subnet
}

export const getSubnet = operation({
  name: "network.subnet.get",
  input: Type.Object({ subnetId: Type.String() }),
  faults: [subnetNotFound],
  load: (ctx, { subnetId }) => loadSubnet(ctx.db, subnetId, viewerOf(ctx)),
  rule: "get_subnet",
  target: (_ctx, _input, subnet) => subnetTarget(subnet),
  run: async (_ctx, _input, subnet) => subnet,
})

export const listSubnets = listOperation<Subnet>({
  name: "network.subnet.list",
  rule: "get_subnet",
  run: async (ctx, query) => {
    const subnets = await listRows<Subnet>(ctx.db, subnetSource(viewerOf(ctx)), query)
    return listed(ctx, "get_subnet", subnets, subnetTarget)
  },
})
